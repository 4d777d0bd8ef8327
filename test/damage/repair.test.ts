/** `mpbp db` on the data directory of a node that is stopped. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { EXIT } from '#src/lib/failure.ts';
import { addressToBytes } from '#src/types/address.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import type { Change } from '#storage/shelf.ts';
import { people } from '../chain/network.ts';
import { type Fixture, makeFixture } from './fixture.ts';
import { inspect, type Seen } from './inspect.ts';

const program = join(import.meta.dirname, '..', '..', 'bin', 'mpbp.ts');
const commandTimeoutMs = 60_000;

describe('mpbp db', () => {
  const root = mkdtempSync(join(tmpdir(), 'mpbp-repair-'));
  let fixture: Fixture;
  let healthy: Seen;
  let count = 0;
  const copy = (source = fixture.now) => {
    const path = join(root, `copy-${count++}`);
    cpSync(source, path, { recursive: true });
    return path;
  };
  const db = (...args: readonly string[]) => {
    const options = { encoding: 'utf8', timeout: commandTimeoutMs } as const;
    return spawnSync(process.execPath, [program, 'db', ...args], options);
  };
  const succeeds = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = db(...args);
    assert.equal(status, EXIT.ok, `mpbp db ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const damage = (path: string, change: (bytes: Buffer) => Buffer) =>
    writeFileSync(path, change(readFileSync(path)));
  const flip = (bytes: Buffer) => {
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    return bytes;
  };
  const journalOf = (path: string) => {
    const [name = ''] = readdirSync(join(path, 'consensus'));
    return join(path, 'consensus', name);
  };
  const namesIn = (path: string) => readdirSync(path).join();

  before(async () => {
    fixture = await makeFixture(join(root, 'fixture'), 60);
    healthy = await inspect(copy(), true);
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  it('check: is content with a sound one, and says what it read', () => {
    const report = JSON.parse(succeeds('check', copy(), '--json')) as Record<string, unknown>;
    assert.equal(report.sound, true);
    assert.equal(report.height, '60');
    assert.equal(report.transactions, 180);
    assert.match(succeeds('check', copy(fixture.compacted)), /^all is sound\n/);
  });

  const alice = addressToBytes(people[0]?.address ?? assert.fail());
  const height = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 7);
  const lost: { when: string; change: Change; text: RegExp }[] = [
    {
      when: 'an account',
      change: { table: 'accounts', key: alice, value: null },
      text: /come to state root 0x/,
    },
    { when: 'receipts', change: { table: 'receipts', key: height, value: null }, text: /block 7:/ },
    { when: 'senders', change: { table: 'senders', key: height, value: null }, text: /block 7:/ },
    {
      when: 'the head',
      change: { table: 'meta', key: Buffer.from('head'), value: null },
      text: /./,
    },
    {
      when: 'what was before a block',
      change: { table: 'undo', key: height, value: null },
      text: /block 7: what the state was/,
    },
    {
      when: 'a node of the trie',
      change: { table: 'trie', key: Uint8Array.of(0), value: null },
      text: /trie node at path ""/,
    },
  ];
  for (const { when, change, text } of lost) {
    it(`check: notices that ${when} vanished`, async () => {
      const path = copy();
      const shelf = await LevelShelf.open(join(path, 'chain'));
      await shelf.write([change]);
      await shelf.close();
      const { status, stdout } = db('check', path);
      assert.equal(status, EXIT.badData);
      assert.match(stdout, text);
      assert.ok(stdout.includes(`mend it: mpbp db resync ${path}`), stdout);
    });
  }

  it('compact: keeps what is served', async () => {
    const path = copy();
    assert.match(succeeds('compact', path), /before +\d+ bytes\nafter +\d+ bytes/);
    assert.deepEqual(await inspect(path, true), healthy);
  });

  it('resync: sets a damaged journal aside, the validator abstains, the chain stays', async () => {
    const path = copy();
    damage(journalOf(path), flip);
    assert.equal(db('check', path).status, EXIT.badData);
    assert.match(succeeds('resync', path), /the chain is kept/);
    assert.match(namesIn(path), /consensus\.damaged-/);
    assert.deepEqual(await inspect(path, true), { ...healthy, journal: null });
  });

  it('resync: makes a lost identity, and a damaged genesis, anew', async () => {
    const path = copy();
    rmSync(join(path, 'identity.json'));
    assert.match(succeeds('resync', path), /the chain is kept/);
    damage(join(path, 'genesis.json'), (bytes) => bytes.subarray(0, 100));
    const refused = db('resync', path);
    assert.equal(refused.status, EXIT.badData);
    assert.match(refused.stderr, /mend it with another member's: mpbp db resync .* --genesis FILE/);
    succeeds('resync', path, '--genesis', join(fixture.now, 'genesis.json'));
    assert.deepEqual(await inspect(path, true), healthy);
  });

  it('resync: begins the chain again, keys and journal stay', async () => {
    const path = copy();
    const [table = ''] = readdirSync(join(path, 'chain')).filter((name) => name.endsWith('.log'));
    damage(join(path, 'chain', table), flip);
    assert.match(succeeds('resync', path), /damaged at byte/);
    const { height: now, keys, journal } = await inspect(path, true);
    assert.deepEqual({ now, keys, journal }, { ...healthyParts(), now: 0 });
  });
  const healthyParts = () => ({ keys: healthy.keys, journal: healthy.journal });

  it('resync: takes a journal aside that is older than the chain which knew it', async () => {
    const path = copy();
    truncateSync(journalOf(path), 2_000);
    succeeds('resync', path);
    assert.equal(existsSync(join(path, 'consensus')), false);
    assert.equal((await inspect(path, true)).journal, null);
  });

  it('backup and restore: give the same chain, without keys and signatures', async () => {
    const [path, out] = [copy(), join(root, 'one.backup')];
    const report = JSON.parse(succeeds('backup', path, '--out', out, '--json')) as {
      height: string;
    };
    assert.equal(report.height, '60');
    assert.equal(db('backup', path, '--out', out).status, EXIT.cannotCreate);
    const bytes = readFileSync(out);
    for (const name of ['consensus.json', 'network.json']) {
      const secret = readFileSync(join(path, 'keys', name)).subarray(40, 80);
      assert.equal(bytes.indexOf(secret), -1);
    }
    assert.equal(db('restore', out, '--data-dir', path).status, EXIT.cannotCreate);
    succeeds('resync', path);
    succeeds('restore', out, '--data-dir', path);
    assert.deepEqual(await inspect(path, true), healthy);
  });

  it('backup: writes through no link that lies in its way', () => {
    const [out, other] = [join(root, 'linked.backup'), join(root, 'other')];
    writeFileSync(other, 'not a backup');
    symlinkSync(other, `${out}.part`);
    succeeds('backup', copy(), '--out', out);
    assert.equal(readFileSync(other, 'utf8'), 'not a backup');
    assert.equal(lstatSync(out).mode & 0o177777, 0o100600);
  });

  it('restore: refuses a chain that the validators did not make final', async () => {
    const [path, out] = [copy(), join(root, 'forged.backup')];
    const shelf = await LevelShelf.open(join(path, 'chain'));
    const newest = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 60);
    const value = shelf.get('certificates', newest)?.slice() ?? assert.fail('it has one');
    value[value.length - 40] = (value[value.length - 40] ?? 0) ^ 1;
    await shelf.write([{ table: 'certificates', key: newest, value }]);
    await shelf.close();
    succeeds('backup', path, '--out', out);
    succeeds('resync', path);
    const { status, stderr } = db('restore', out, '--data-dir', path);
    assert.equal(status, EXIT.badData);
    assert.match(stderr, /block 60: nobody made it final \(CERTIFICATE_SIGNATURE\)/);
  });
});
