/** Risks in a data directory: who can read it, what lies in it, what has been done for it. */
import { X509Certificate } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { lastAct, readAuditLog } from '#storage/auditLog.ts';
import { accessPath } from '../accessFile.ts';
import type { Config } from '../config.ts';
import { journalDir } from '../dataDir.ts';
import { keysDir } from '../nodeKeys.ts';
import { type Finding, risk } from './finding.ts';

const backupDaysMax = 7;
const certificateDaysMin = 14;
const DAY_MS = 86_400_000;
const MIB = 1024 * 1024;
/** Beyond the reserve: about a day of a hundred payments a second. */
const freeMebibytesMin = 2_048;
const secretBytesMax = 64 * 1024;

export function checkFiles(path: string, config: Config, nowMs: number): Finding[] {
  return [
    ...checkModes(path, config),
    ...checkKeys(path),
    ...checkRecords(path, nowMs),
    ...checkCertificate(config['rpc.tlsCertificate'], nowMs),
    ...checkRoom(path, config['storage.reserveMebibytes']),
  ];
}

/** Nobody else reads the directory, and nobody else's are its secrets. */
function checkModes(path: string, config: Config): Finding[] {
  const found: Finding[] = [];
  const keys = existsSync(keysDir(path))
    ? readdirSync(keysDir(path)).map((name) => join(keysDir(path), name))
    : [];
  const named = [
    ...[config['rpc.tlsKey'], config['rpc.jwtSecretFile'], config['operator.jwtSecretFile']],
    ...[accessPath(path), journalDir(path), join(path, 'audit.log')],
  ];
  for (const place of [path, keysDir(path), ...keys, ...named]) {
    if (place === '' || !existsSync(place)) continue;
    const stat = lstatSync(place);
    if (stat.isSymbolicLink()) {
      found.push(
        risk('FILE_LINK', {
          what: `${place} is a link`,
          why: 'whoever owns the place that it leads to decides what is read there',
          fix: 'put the file itself there',
        }),
      );
      continue;
    }
    if ((stat.mode & 0o077) !== 0) {
      found.push(
        risk('FILE_OPEN', {
          what: `${place} has mode ${(stat.mode & 0o777).toString(8)}`,
          why: 'other users of this machine can use it',
          fix: `chmod ${stat.isDirectory() ? '700' : '600'} ${place}`,
        }),
      );
    }
    if (stat.uid !== process.getuid?.()) {
      found.push(
        risk('FILE_OWNER', {
          what: `${place} belongs to user ${stat.uid}`,
          why: 'its owner can change it',
          fix: `chown ${process.getuid?.()} ${place}`,
        }),
      );
    }
  }
  const settings = join(path, 'mpbp.toml');
  if (existsSync(settings) && (lstatSync(settings).mode & 0o022) !== 0) {
    found.push(
      risk('CONFIG_WRITABLE', {
        what: `${settings} can be written by others`,
        why: 'they can open the node to the world at its next start',
        fix: `chmod 600 ${settings}`,
      }),
    );
  }
  return found;
}

function checkKeys(path: string): Finding[] {
  const found: Finding[] = [];
  const password = join(keysDir(path), 'password');
  if (existsSync(password)) {
    found.push(
      risk('PASSWORD_BESIDE', {
        what: `${password} lies beside the keys that it opens`,
        why: 'a copy of the folder, or of the disk, is a copy of the keys',
        fix: 'a password of your own from elsewhere: mpbp keys new --password-file, and at start',
      }),
    );
  }
  for (const dir of [path, keysDir(path)]) {
    for (const place of existsSync(dir) ? readdirSync(dir).map((name) => join(dir, name)) : []) {
      if (!holdsBareKey(place)) continue;
      found.push(
        risk('KEY_BARE', {
          what: `${place} holds keys that are not encrypted`,
          why: 'whoever reads it can vote in your name',
          fix: 'keep it offline and delete it here',
        }),
      );
    }
  }
  const isKeyed = existsSync(join(keysDir(path), 'consensus.json'));
  if (isKeyed && !existsSync(journalDir(path))) {
    found.push(
      risk('JOURNAL_MISSING', {
        what: `${journalDir(path)} is missing`,
        why: 'what the key has signed is not known: the validator does not vote this epoch',
        fix: 'put the newest one back, or rotate the key: mpbp validator rotate',
      }),
    );
  }
  return found;
}

/** What `mpbp keys export` prints, kept in a file, or 32 bytes in hexadecimal. */
function holdsBareKey(place: string): boolean {
  const stat = lstatSync(place);
  if (!stat.isFile() || stat.size > secretBytesMax) return false;
  let text: string;
  try {
    text = readFileSync(place, 'utf8').trim();
  } catch {
    return false;
  }
  return /"(consensusSeed|networkSeed|privateKey)"/.test(text) || /^(0x)?[0-9a-f]{64}$/i.test(text);
}

function checkRecords(path: string, nowMs: number): Finding[] {
  const found: Finding[] = [];
  const isStarted = existsSync(join(path, 'pool'));
  const log = join(path, 'audit.log');
  if (isStarted && !existsSync(log)) {
    found.push(
      risk('AUDIT_MISSING', {
        what: `${log} is missing`,
        why: 'nobody can say who started, stopped and backed up this node',
        fix: 'find out who removed it; the next start begins a new one',
      }),
    );
  }
  const { broken } = existsSync(log) ? readAuditLog(path) : { broken: null };
  if (broken !== null) {
    found.push(
      risk('AUDIT_BROKEN', {
        what: `${broken.file}, line ${broken.line}: ${broken.why}`,
        why: 'somebody or something has changed the record of privileged acts',
        fix: `mpbp audit log ${path}`,
      }),
    );
  }
  const backup = lastAct(path, 'backup');
  const days = backup === null ? null : (nowMs - Date.parse(backup.time)) / DAY_MS;
  if (days === null || days > backupDaysMax) {
    found.push(
      risk('BACKUP_OLD', {
        what: days === null ? 'no backup was made' : `the backup is ${Math.floor(days)} days old`,
        why: 'after a loss of the disk the chain comes from the peers, if they have it all',
        fix: `mpbp db backup ${path} --out FILE, on another machine, and of keys/ by itself`,
      }),
    );
  }
  return found;
}

function checkCertificate(path: string, nowMs: number): Finding[] {
  if (path === '') return [];
  const bad = (what: string, fix: string) => [
    risk('CERTIFICATE', { what: `${path}: ${what}`, why: 'clients refuse the node', fix }),
  ];
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(readFileSync(path));
  } catch (error) {
    return bad(`no certificate (${(error as Error).message})`, 'a PEM file of the chain');
  }
  const days = Math.floor((Date.parse(certificate.validTo) - nowMs) / DAY_MS);
  if (days >= certificateDaysMin) return [];
  const ends = days < 0 ? `ended ${-days} days ago` : `ends in ${days} days`;
  return bad(ends, 'renew it in place: the node takes it without a restart');
}

function checkRoom(path: string, reserveMebibytes: number): Finding[] {
  const { bavail, bsize } = statfsSync(path);
  const free = Math.floor((bavail * bsize) / MIB);
  if (free >= reserveMebibytes + freeMebibytesMin) return [];
  return [
    risk('DISK_LOW', {
      what: `${free} MiB are free, of which ${reserveMebibytes} are the reserve`,
      why: 'a node without room neither votes nor takes payments',
      fix: 'a larger disk, or mpbp db compact while it is stopped',
    }),
  ];
}
