import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import type { Genesis } from '#src/types/genesis.ts';
import { lastAct } from '#storage/auditLog.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { readAccess } from '../accessFile.ts';
import { isRunning } from '../adminServer.ts';
import { Client } from '../client.ts';
import { type Config, loadConfig, type SettingName, settingNames } from '../config.ts';
import { type DataDir, openDataDir, resolveDataDir } from '../dataDir.ts';
import { checkFiles } from '../doctor/fileChecks.ts';
import { type Finding, note, risk } from '../doctor/finding.ts';
import { checkMachine, readMachine } from '../doctor/machineChecks.ts';
import { checkSettings } from '../doctor/settingChecks.ts';
import { checkStake } from '../doctor/stakeChecks.ts';
import { makeOutput, printable } from '../output.ts';

type Options = { rpc?: string; accept?: string; json: boolean };

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('every risky setting of a node: why, and what to do')
    .argument('[datadir]', 'its data directory; a node that runs there is asked, too')
    .option('--rpc <url>', 'a node as the world sees it, instead')
    .option('--accept <codes>', 'risks that you know and take, such as ROOT,SWAP')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp doctor ./node1\n  $ mpbp doctor --rpc https://pay.example\n\n' +
        'Exit code 0: no risks but those that you accept; notes do not count. 78: risks.\n' +
        'Settings are those of mpbp.toml, the environment, and the flags of the last start.',
    )
    .action(doctor);
}

async function doctor(text: string | undefined, options: Options): Promise<void> {
  if ((text === undefined) === (options.rpc === undefined)) {
    throw new UserError(EXIT.usage, 'say what to look at: mpbp doctor DIR, or --rpc URL');
  }
  const found =
    text === undefined
      ? await lookAtNode(options.rpc ?? '')
      : await lookAtDir(resolveDataDir(text));
  const accepted = new Set((options.accept ?? '').split(',').map((code) => code.trim()));
  const risks = found.filter(({ level, code }) => level === 'risk' && !accepted.has(code));
  makeOutput(options.json).result(
    { risks: risks.length, findings: found.map((f) => ({ ...f, accepted: accepted.has(f.code) })) },
    report(found, accepted, risks.length),
  );
  if (risks.length > 0) process.exitCode = EXIT.risks;
}

async function lookAtNode(url: string): Promise<Finding[]> {
  const client = new Client(url);
  await client.call('eth_chainId');
  const { checkDoor, checkNetwork } = await import('../doctor/nodeChecks.ts');
  return [...(await checkDoor(url)), ...(await checkNetwork(client))];
}

async function lookAtDir(path: string): Promise<Finding[]> {
  const dir = openDataDir(path);
  const start = lastAct(path, 'start')?.detail ?? {};
  const { config } = loadConfig(path, flagsOf(start));
  const own = new Set(Array.isArray(start.consensusKeys) ? start.consensusKeys : []);
  const isValidator = dir.genesis.validators.some(({ consensusKey }) =>
    own.has(toHex(consensusKey)),
  );
  const hasOperatorKey =
    config['operator.jwtSecretFile'] !== '' ||
    readAccess(path).some(({ role }) => role === 'operator');
  const cores = availableParallelism();
  return [
    ...checkSettings({ config, genesis: dir.genesis, isValidator, hasOperatorKey, cores }),
    ...checkFiles(path, config, Date.now()),
    ...checkMachine(readMachine()),
    ...((await isRunning(path)) ? await askNode(config, dir.genesis) : await checkStopped(dir)),
  ];
}

/** What the last start had that is not in the file: flags, and the environment of that process. */
function flagsOf(start: Readonly<Record<string, unknown>>): Map<SettingName, string> {
  const settings = (start.settings ?? {}) as Readonly<Record<string, unknown>>;
  const given = new Set(Array.isArray(start.given) ? start.given : []);
  const flags = new Map<SettingName, string>();
  for (const name of settingNames) {
    const value = settings[name];
    if (given.has(name) && typeof value === 'string') flags.set(name, value);
  }
  return flags;
}

/** One that lets nobody ask without a key, or has a certificate for another name, stays silent. */
async function askNode(config: Config, { validators }: Genesis): Promise<Finding[]> {
  const scheme = config['rpc.tlsCertificate'] === '' ? 'http' : 'https';
  const host = ['0.0.0.0', '::'].includes(config['rpc.host']) ? '127.0.0.1' : config['rpc.host'];
  // Loaded here, because no other command needs the platform's HTTPS.
  const { checkNetwork } = await import('../doctor/nodeChecks.ts');
  try {
    return await checkNetwork(new Client(`${scheme}://${host}:${config['rpc.port']}`));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const fix = 'mpbp doctor --rpc URL, where it is reached under another name';
    const what = `the node that runs there was not asked: ${error.message}`;
    const why = 'its network was not seen: the stake is that of genesis';
    return [note('NODE_SILENT', { what, why, fix }), ...checkStake(validators)];
  }
}

/** Of a stopped node the founders' stake, and whether this program knows its database. */
async function checkStopped({ chain, genesis }: DataDir): Promise<Finding[]> {
  const found = checkStake(genesis.validators);
  if (!existsSync(chain)) return found;
  const shelf = await LevelShelf.open(chain);
  try {
    await ShelfChainStore.open(shelf);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const fix = 'the program that wrote it, or mpbp db resync';
    found.push(risk('SCHEMA', { what: error.message, why: 'the node does not start', fix }));
  } finally {
    await shelf.close();
  }
  return found;
}

function report(found: readonly Finding[], accepted: Set<string>, risks: number): string {
  const lines = found.map(({ code, level, what, why, fix }) => {
    const mark = level === 'note' ? 'note' : accepted.has(code) ? 'accepted' : 'RISK';
    return `${mark}  ${code}: ${printable(what)}\n      ${why}\n      -> ${printable(fix)}`;
  });
  const end = risks === 0 ? 'no risks found' : `${risks} ${risks === 1 ? 'risk' : 'risks'}`;
  return [...lines, end].join('\n');
}
