import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { loadConfig } from '../../bin/config.ts';

const program = join(import.meta.dirname, '..', '..', 'bin', 'mpbp.ts');
const root = mkdtempSync(join(tmpdir(), 'mpbp-cli-'));
const at = (...names: string[]) => join(root, ...names);
after(() => rmSync(root, { recursive: true, force: true }));

type Result = { code: number | null; stdout: string; stderr: string };

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Result> {
  const child = spawn(process.execPath, [program, ...args], {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', HOME: root, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}

/** Ends well, and prints this. */
async function succeeds(args: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await run(args, env);
  assert.equal(code, EXIT.ok, `mpbp ${args.join(' ')}: ${stderr}`);
  return stdout;
}

/** Ends with this code and says this, as a person would want to be told. */
async function fails(
  args: readonly string[],
  want: { code: number; text: RegExp; env?: Record<string, string> },
): Promise<Result> {
  const result = await run(args, want.env);
  const { code, stdout, stderr } = result;
  const all = stdout + stderr;
  const shown = `mpbp ${args.join(' ').slice(0, 200)}: exit ${code}\n${all.slice(0, 2_000)}`;
  assert.match(all, want.text, shown);
  assert.equal(code, want.code, shown);
  assert.doesNotMatch(all, /\n\s+at |internal error|node:internal|Warning:/, shown);
  return result;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : assert.fail();
}

const operator = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const addMember = (file: string, name: string, more: readonly string[] = []) => [
  ...['genesis', 'add-member', '--file', file, '--data-dir', at(name), '--id', name],
  ...['--stake', '100', '--address', `/dns4/node.${name}.example/tcp/30303`],
  ...['--operator', operator, ...more],
];

/** A network of one, that a node can start alone: a fresh copy of its data directory. */
function copyOf(name: string): string {
  cpSync(at('alone'), at(name), { recursive: true });
  return at(name);
}

before(async () => {
  const file = at('alone.json');
  await succeeds(['keys', 'new', '--data-dir', at('alone')]);
  await succeeds([
    ...['genesis', 'new', '--file', file, '--chain-id', '77', '--alloc', `${operator}=1000`],
  ]);
  await succeeds(addMember(file, 'alone'));
  await succeeds(['init', '--genesis', file, '--data-dir', at('alone')]);
});

/** Processes side by side, because each takes half a second to begin. */
describe('mpbp', { concurrency: 2 }, () => {
  describe('mistakes on the command line', () => {
    const dir = () => ['--data-dir', at('alone')];
    const rows: { when: string; args: () => string[]; text: RegExp; code?: number }[] = [
      { when: '106: no command', args: () => [], text: /Usage: mpbp/ },
      { when: '106: an unknown command', args: () => ['strat'], text: /unknown command 'strat'/ },
      { when: '106: __proto__ as a command', args: () => ['__proto__'], text: /unknown command/ },
      {
        when: '106: constructor as a command',
        args: () => ['constructor'],
        text: /unknown command/,
      },
      {
        when: '106: __proto__ below a command',
        args: () => ['keys', '__proto__'],
        text: /unknown command/,
      },
      {
        when: '106: an unknown option',
        args: () => ['status', '--colour'],
        text: /unknown option '--colour'/,
      },
      {
        when: '106: __proto__ as an option',
        args: () => ['config', ...dir(), '--__proto__', '1'],
        text: /unknown option/,
      },
      {
        when: '106: a value that is missing',
        args: () => ['start', '--data-dir'],
        text: /argument missing/,
      },
      {
        when: '106: a required option that is missing',
        args: () => ['start'],
        text: /required option '--data-dir <dir>' not specified/,
      },
      {
        when: '106: an argument that is missing',
        args: () => ['pay', operator],
        text: /missing required argument 'amount'/,
      },
      {
        when: '106: an argument too many',
        args: () => ['status', 'now'],
        text: /too many arguments/,
      },
      {
        when: '106: an argument too many after --',
        args: () => ['config', ...dir(), '--', '--json'],
        text: /too many arguments/,
      },
      {
        when: '106: an option given twice',
        args: () => ['config', ...dir(), ...dir()],
        text: /--data-dir <dir>: given more than once/,
      },
      {
        when: '106: a port of 12abc',
        args: () => ['devnet', '--rpc-port=12abc'],
        text: /'12abc' is invalid.*whole number from 1 to 65000/,
      },
      {
        when: '106: a port of 1e3',
        args: () => ['devnet', '--rpc-port', '1e3'],
        text: /'1e3' is invalid/,
      },
      {
        when: '103: a setting of 12abc',
        args: () => ['config', ...dir(), '--rpc.port=12abc'],
        text: /--rpc\.port: rpc\.port should be a whole number from 1 to 65535, not "12abc"/,
      },
      {
        when: '103: port 0',
        args: () => ['config', ...dir(), '--rpc.port', '0'],
        text: /whole number from 1 to 65535, not "0"/,
      },
      {
        when: '103: port 65536',
        args: () => ['start', ...dir(), '--rpc.port', '65536'],
        text: /not "65536"/,
      },
      {
        when: '103: a negative limit',
        args: () => ['config', ...dir(), '--pool.senderMax=-1'],
        text: /whole number from 1 to 100000, not "-1"/,
      },
      {
        when: '103: NaN',
        args: () => ['config', ...dir(), '--pool.senderMax', 'NaN'],
        text: /not "NaN"/,
      },
      ...['password', 'private-key', 'mnemonic', 'seed'].map((name) => ({
        when: `105: --${name} with a secret`,
        args: () => ['wallet', 'new', `--${name}=hunter2`],
        text: new RegExp(`^mpbp: --${name} is not an option: secrets are read from a file[^]*$`),
      })),
      {
        when: '105: --password as the last word',
        args: () => ['start', ...dir(), '--password', 'hunter2'],
        text: /--password is not an option/,
      },
      {
        when: '107: the root folder',
        args: () => ['start', '--data-dir', '/'],
        text: /root folder/,
        code: 73,
      },
      {
        when: '107: .. up to the root',
        args: () => ['config', '--data-dir', '/tmp/..'],
        text: /root/,
        code: 73,
      },
      {
        when: '107: an empty folder name',
        args: () => ['start', '--data-dir='],
        text: /a folder is needed/,
      },
      {
        when: '107: a folder that is a file',
        args: () => ['init', '--genesis', at('alone.json'), '--data-dir', at('alone.json')],
        text: /alone\.json: the folder cannot be made/,
        code: 73,
      },
      {
        when: '107: a folder below a file',
        args: () => ['keys', 'new', '--data-dir', at('alone.json', 'x')],
        text: /mpbp: /,
        code: 73,
      },
      {
        when: '107: a folder that is no data directory',
        args: () => ['start', '--data-dir', root],
        text: /is not a data directory; make it with: mpbp init/,
        code: 65,
      },
      {
        when: 'an audit of a folder that is no data directory',
        args: () => ['audit', 'replay', root],
        text: /is not a data directory/,
        code: 65,
      },
      {
        when: 'an amount in words',
        args: () => ['pay', operator, 'ten'],
        text: /amount: "ten" should be digits with at most 18 decimals/,
      },
      {
        when: 'an address with a mistyped letter',
        args: () => ['pay', operator.replace('0xf3', '0xF3'), '1'],
        text: /its checksum is wrong; a letter may be mistyped \(EIP-55\)/,
      },
      {
        when: 'a node that does not answer',
        args: () => ['status', '--rpc', 'http://127.0.0.1:1'],
        text: /no node answers at http:\/\/127\.0\.0\.1:1; is one running there\?/,
        code: 69,
      },
      {
        when: 'an --rpc that is no address',
        args: () => ['status', '--rpc', 'local host'],
        text: /--rpc: not an address/,
      },
      {
        when: 'a genesis that is not there',
        args: () => ['genesis', 'check', at('none.json')],
        text: /none\.json: no such file/,
        code: 65,
      },
      {
        when: '104: a genesis that is a folder',
        args: () => ['genesis', 'hash', root],
        text: /not a plain file/,
        code: 65,
      },
    ];
    for (const { when, args, text, code } of rows) {
      it(when, async () => {
        const { stdout, stderr } = await fails(args(), { code: code ?? EXIT.usage, text });
        assert.doesNotMatch(stdout + stderr, /hunter2/, 'a secret is not repeated');
      });
    }
  });

  describe('configuration', () => {
    let count = 0;
    const folder = (toml: string) => {
      const path = at(`config-${count++}`);
      mkdirSync(path);
      writeFileSync(join(path, 'mpbp.toml'), toml);
      return path;
    };

    it('defaults, the file, the environment, flags; each says where it is from', async () => {
      const path = folder(
        '[rpc]\nport = 1001\nhost = "0.0.0.0"\nhosts = ["a", "b"]\nbatchItemsMax = 7\n' +
          '[storage]\narchive = true\n',
      );
      const args = ['config', '--json', '--data-dir', path, '--rpc.port', '1003'];
      const env = { MPBP_RPC_PORT: '1002', MPBP_RPC_HOST: '10.0.0.1' };
      type Shown = { config: Record<string, unknown>; origins: Record<string, string> };
      const { config, origins } = JSON.parse(await succeeds(args, env)) as Shown;
      const names = ['rpc.port', 'rpc.host', 'rpc.hosts', 'rpc.batchItemsMax', 'log.level'];
      names.push('storage.archive');
      assert.deepEqual(
        names.map((name) => [name, config[name], origins[name]]),
        [
          ['rpc.port', 1003, 'flag'],
          ['rpc.host', '10.0.0.1', 'environment'],
          ['rpc.hosts', ['a', 'b'], 'mpbp.toml'],
          ['rpc.batchItemsMax', 7, 'mpbp.toml'],
          ['log.level', 'info', 'default'],
          ['storage.archive', true, 'mpbp.toml'],
        ],
      );
    });

    const rows: { when: string; toml: string; text: RegExp }[] = [
      { when: 'no TOML', toml: 'port: 1', text: /mpbp\.toml: / },
      {
        when: 'an unknown key',
        toml: '[rpc]\nprot = 1',
        text: /mpbp\.toml: unknown key rpc\.prot/,
      },
      { when: 'an unknown section', toml: '[rcp]\nport = 1', text: /unknown key rcp\.port/ },
      { when: 'a key outside of a section', toml: 'port = 1', text: /unknown key port/ },
      {
        when: '__proto__ as a section',
        toml: '[__proto__]\nport = 1',
        text: /unknown key|mpbp\.toml/,
      },
      { when: 'a key twice', toml: '[rpc]\nport = 1\nport = 2', text: /mpbp\.toml: / },
      {
        when: 'a number in quotes',
        toml: '[rpc]\nport = "8545"',
        text: /mpbp\.toml: rpc\.port should be a number/,
      },
      {
        when: 'a list for a number',
        toml: '[rpc]\nport = [8545]',
        text: /rpc\.port should be a number/,
      },
      {
        when: 'a fraction',
        toml: '[rpc]\nport = 1.5',
        text: /whole number from 1 to 65535, not "1\.5"/,
      },
      {
        when: 'true for a number',
        toml: '[pool]\nsenderMax = true',
        text: /pool\.senderMax should be/,
      },
      { when: 'a table for a text', toml: '[rpc.host]\nx = 1', text: /rpc\.host should be a text/ },
      { when: 'a number for a text', toml: '[rpc]\nhost = 5', text: /rpc\.host should be a text/ },
      {
        when: 'a text for a list',
        toml: '[rpc]\nhosts = "a"',
        text: /rpc\.hosts should be a list/,
      },
      {
        when: 'a text for what is true or false',
        toml: '[storage]\narchive = "true"',
        text: /storage\.archive should be true or false/,
      },
      {
        when: 'a level that there is not',
        toml: '[log]\nlevel = "loud"',
        text: /log\.level should be one of error, warn, info, debug, not "loud"/,
      },
    ];
    for (const { when, toml, text } of rows) {
      it(`103: ${when}`, () => {
        const path = folder(toml);
        const refused = (error: unknown) =>
          error instanceof UserError && error.exitCode === EXIT.badData && text.test(error.message);
        assert.throws(() => loadConfig(path, new Map(), {}), refused);
      });
    }

    it('103: a file that is wrong ends the command', async () => {
      const path = folder('[rpc]\nprot = 1');
      const text = /mpbp\.toml: unknown key rpc\.prot/;
      await fails(['config', '--data-dir', path], { code: EXIT.badData, text });
    });

    it('103: a wrong value in the environment names the variable', async () => {
      await fails(['config', '--data-dir', root], {
        ...{ code: EXIT.badData, env: { MPBP_POOL_SENDER_MAX: '0' } },
        text: /MPBP_POOL_SENDER_MAX: pool\.senderMax should be a whole number from 1/,
      });
    });

    it('104: a configuration that is a folder', async () => {
      mkdirSync(at('config-dir', 'mpbp.toml'), { recursive: true });
      await fails(['config', '--data-dir', at('config-dir')], {
        ...{ code: EXIT.badData, text: /mpbp\.toml: not a plain file/ },
      });
    });
  });

  describe('a genesis of two members, by hand', () => {
    const file = at('two.json');

    it('grows by a part from each, is checked, hashed, and starts both nodes', async () => {
      const keys: Record<string, unknown>[] = [];
      for (const name of ['north', 'south']) {
        const json = await succeeds(['keys', 'new', '--json', '--data-dir', at(name)]);
        keys.push(JSON.parse(json) as Record<string, unknown>);
      }
      const begun = ['genesis', 'new', '--file', file, '--chain-id', '88'];
      await succeeds([...begun, '--alloc', `${operator}=1000`]);
      await fails([...begun], {
        code: EXIT.cannotCreate,
        text: /is there already; kept as it is/,
      });
      await fails(['genesis', 'check', file], {
        code: EXIT.badData,
        text: /\$\.members: should be/,
      });
      // Another tool wrote a balance as a number that doubles do not have.
      const draft = readFileSync(file, 'utf8').replace(/"1000\d+"/, '9007199254740993');
      writeFileSync(file, draft);
      await succeeds(addMember(file, 'north'));
      assert.match(readFileSync(file, 'utf8'), /"9007199254740993"/, 'every digit is kept');
      await fails(addMember(file, 'north'), {
        code: EXIT.badData,
        text: /members\[1\]\.id: stands/,
      });
      await fails([...addMember(file, 'south').filter((word) => word !== operator), 'me'], {
        code: EXIT.usage,
        text: /--operator: "me" is not an address/,
      });
      assert.match(await succeeds(addMember(file, 'south')), /has 2 validators; pass it on/);

      const hash = (await succeeds(['genesis', 'hash', file])).trim();
      assert.match(hash, /^0x[0-9a-f]{64}$/);
      const checked = await succeeds(['genesis', 'check', file]);
      assert.match(checked, /2 members, 2 validators, chain id 88, 0\.009007199254740993 MPB/);
      assert.ok(checked.includes(hash), 'the hash that all compare');
      assert.match(checked, /member north has 50 % .* stop the network/);
      for (const [index, name] of ['north', 'south'].entries()) {
        const init = ['init', '--json', '--genesis', file, '--data-dir', at(name)];
        const made = JSON.parse(await succeeds(init)) as Record<string, unknown>;
        assert.equal(made.networkId, hash);
        assert.equal(made.isValidator, true);
        assert.equal(made.consensusKey, keys[index]?.consensusKey);
        const mode = statSync(join(at(name), 'keys', 'consensus.json')).mode & 0o777;
        assert.equal(mode, 0o600);
      }
      await fails(['init', '--genesis', file, '--data-dir', at('north')], {
        ...{
          code: EXIT.cannotCreate,
          text: /is a data directory already; start it with: mpbp start/,
        },
      });
      await fails(['keys', 'new', '--data-dir', at('north')], {
        ...{ code: EXIT.cannotCreate, text: /consensus\.json is there already; kept as it is/ },
      });
      assert.match(await succeeds(['audit', 'replay', at('north')]), /^the record is sound/);
    });

    it('99: a draft with a key twice is refused, not settled in silence', async () => {
      const draft = readFileSync(at('alone.json'), 'utf8').replace('{', '{"members": [],');
      writeFileSync(at('twice.json'), draft);
      await fails(addMember(at('twice.json'), 'alone'), {
        ...{ code: EXIT.badData, text: /twice\.json: \$\.members: stands twice/ },
      });
    });

    it('an init that lacked its password can be repeated with it', async () => {
      writeFileSync(at('pass'), 'correct horse\n', { mode: 0o600 });
      const password = ['--password-file', at('pass')];
      const genesis = ['--genesis', at('alone.json')];
      await succeeds(['keys', 'new', '--data-dir', at('locked'), ...password]);
      const init = ['init', ...genesis, '--data-dir', at('locked')];
      await fails(init, { code: EXIT.usage, text: /a password is needed: give --password-file/ });
      await succeeds([...init, ...password]);
    });

    it('a bad genesis leaves nothing behind', async () => {
      writeFileSync(at('bad.json'), '{}');
      await fails(['init', '--genesis', at('bad.json'), '--data-dir', at('unmade')], {
        ...{ code: EXIT.badData, text: /bad\.json: \$\.config: is missing/ },
      });
      assert.ok(!existsSync(at('unmade')));
    });
  });

  describe('a data directory', () => {
    const start = (path: string) => ['start', '--data-dir', path];

    it('101: of another genesis is refused, and both are named', async () => {
      const path = copyOf('other-genesis');
      const genesis = readFileSync(join(path, 'genesis.json'), 'utf8');
      const own = (await succeeds(['genesis', 'hash', join(path, 'genesis.json')])).trim();
      writeFileSync(join(path, 'genesis.json'), genesis.replace('77', '78'));
      const other = (await succeeds(['genesis', 'hash', join(path, 'genesis.json')])).trim();
      await fails(start(path), {
        ...{ code: EXIT.badData, text: new RegExp(`belongs to chain ${own}[^]*${other}`) },
      });
    });

    const damages: { when: string; file: string; text: RegExp }[] = [
      {
        when: 'identity',
        file: 'identity.json',
        text: /damaged\/identity\.json: damaged, or written/,
      },
      { when: 'genesis', file: 'genesis.json', text: /damaged\/genesis\.json: \$: / },
      { when: 'key', file: 'keys/consensus.json', text: /damaged\/keys\/consensus\.json: / },
    ];
    for (const { when, file, text } of damages) {
      it(`112: whose ${when} is damaged is refused with its path`, async () => {
        const path = join(copyOf(`${when}-damaged`));
        writeFileSync(join(path, file), 'x');
        const named = new RegExp(text.source.replace('damaged', `${when}-damaged`));
        await fails(start(path), { code: EXIT.badData, text: named });
      });
    }

    it('116: whose key others can read is refused', async () => {
      const path = copyOf('open-key');
      chmodSync(join(path, 'keys', 'consensus.json'), 0o644);
      await fails(start(path), {
        ...{ code: EXIT.permission, text: /consensus\.json: others can read .* chmod 600/ },
      });
    });

    it('116: whose password others can read is refused', async () => {
      const path = copyOf('open-password');
      chmodSync(join(path, 'keys', 'password'), 0o640);
      await fails(start(path), { code: EXIT.permission, text: /keys\/password: others can read/ });
    });

    it('117: whose database lost its CURRENT is refused, and it is said what to do', async () => {
      const path = copyOf('no-current');
      rmSync(join(path, 'chain', 'CURRENT'));
      await fails(start(path), {
        code: EXIT.badData,
        text: /CURRENT: missing; mend it: mpbp db resync /,
      });
      assert.ok(!existsSync(join(path, 'chain', 'CURRENT')), 'and it is not made anew');
    });

    it('117: whose database lost what was written is refused, not begun anew', async () => {
      const path = copyOf('no-log');
      for (const name of readdirSync(join(path, 'chain'))) {
        if (/\.(log|ldb)$/.test(name)) rmSync(join(path, 'chain', name));
      }
      await fails(start(path), {
        code: EXIT.badData,
        text: /\.log: missing; mend it: mpbp db resync /,
      });
    });

    it('117: whose newest commit record is gone is refused, without a stack', async () => {
      const path = copyOf('no-commit');
      const shelf = await LevelShelf.open(join(path, 'chain'));
      await shelf.write([{ table: 'commits', key: new Uint8Array(8), value: null }]);
      await shelf.close();
      await fails(start(path), {
        ...{ code: EXIT.badData, text: /damaged: .* record of block 0 .*mpbp db resync / },
      });
    });

    it('whose identity was lost keeps its database', async () => {
      const path = copyOf('no-identity');
      rmSync(join(path, 'identity.json'));
      await fails(['init', '--genesis', at('alone.json'), '--data-dir', path], {
        ...{ code: EXIT.cannotCreate, text: /holds a database without its identity\.json/ },
      });
    });

    it('108: is not opened where the network’s keys would be dumped', async () => {
      await fails(start(copyOf('dump')), {
        ...{ code: EXIT.usage, env: { DUMP_SESSION_KEYS: '/tmp/keys' } },
        text: /DUMP_SESSION_KEYS would write network keys out: unset it/,
      });
    });
  });

  describe('a running node', { concurrency: 1 }, () => {
    let child: ChildProcess;
    let port: number;
    let output = '';
    const path = () => at('running');

    before(async () => {
      copyOf('running');
      port = await freePort();
      const p2p = `/ip4/127.0.0.1/tcp/${await freePort()}`;
      const args = [program, 'start', '--data-dir', path(), '--log.format', 'json'];
      child = spawn(process.execPath, [...args, '--rpc.port', `${port}`, '--p2p.listen', p2p], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      await new Promise<void>((resolve, reject) => {
        const heard = (chunk: Buffer) => {
          output += chunk.toString();
          if (output.includes('node started')) resolve();
        };
        child.stdout?.on('data', heard);
        child.stderr?.on('data', heard);
        child.once('exit', (code) => reject(new Error(`ended with ${code}: ${output}`)));
      });
    });
    after(() => child.kill('SIGKILL'));

    it('109: keeps a second one out of its data directory', async () => {
      await fails(['start', '--data-dir', path(), '--rpc.port', '1'], {
        ...{ code: EXIT.locked, text: /is in use by another process; stop that one/ },
      });
    });

    it('109: keeps an audit out, too', async () => {
      await fails(['audit', 'replay', path()], { code: EXIT.locked, text: /in use by another/ });
    });

    it('103: keeps its port', async () => {
      const p2p = `/ip4/127.0.0.1/tcp/${await freePort()}`;
      const args = ['start', '--data-dir', copyOf('second'), '--p2p.listen', p2p];
      await fails([...args, '--rpc.port', `${port}`], {
        ...{
          code: EXIT.unavailable,
          text: /JSON-RPC cannot listen on 127\.0\.0\.1:\d+: another/,
        },
      });
    });

    it('tells its status and balances, and stops cleanly', async () => {
      const rpc = ['--rpc', `http://127.0.0.1:${port}`];
      assert.match(await succeeds(['status', ...rpc]), /role +validator 0/);
      assert.match(await succeeds(['peers', ...rpc]), /no peers/);
      assert.match(await succeeds(['history', operator, ...rpc]), /genesis +\+1000 MPB/);
      const balance = await succeeds(['wallet', 'balance', operator, ...rpc]);
      assert.match(balance, new RegExp(`${operator} +1000 MPB`));
      child.removeAllListeners('exit');
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      assert.equal(await ended, EXIT.ok);
      assert.match(await succeeds(['audit', 'replay', path()]), /^the record is sound/);
    });
  });

  describe('wallets', () => {
    it('are made, listed, restored from their words, and never overwritten', async () => {
      writeFileSync(at('wallet-pass'), 'correct horse battery\n', { mode: 0o600 });
      const keystore = ['--keystore', at('keystore')];
      const password = ['--password-file', at('wallet-pass')];
      assert.match(
        await succeeds(['wallet', 'list', ...keystore]),
        /no wallets in .*mpbp wallet new/,
      );
      type Made = { address: string; path: string; mnemonic: string };
      const made = JSON.parse(
        await succeeds(['wallet', 'new', '--json', ...keystore, ...password]),
      ) as Made;
      assert.equal(made.mnemonic.split(' ').length, 12);
      assert.equal(statSync(made.path).mode & 0o777, 0o600);
      assert.doesNotMatch(readFileSync(made.path, 'utf8'), new RegExp(made.mnemonic));
      assert.equal((await succeeds(['wallet', 'list', ...keystore])).trim(), made.address);
      writeFileSync(at('words'), `${made.mnemonic}\n`, { mode: 0o600 });
      const restore = ['wallet', 'new', '--mnemonic-file', at('words'), ...password];
      await fails([...restore, ...keystore], {
        code: EXIT.cannotCreate,
        text: /is in .*keystore/,
      });
      const again = await succeeds([...restore, '--keystore', at('keystore2')]);
      assert.ok(again.startsWith(made.address));
      assert.doesNotMatch(again, /Write these words down/);
      writeFileSync(at('words2'), 'test test test\n', { mode: 0o600 });
      await fails(['wallet', 'new', '--mnemonic-file', at('words2'), ...password], {
        ...{ code: EXIT.badData, text: /not words of a wallet \(BIP-39\)/ },
      });
      await fails([...restore, '--index', '1x'], {
        code: EXIT.usage,
        text: /'--index <n>' argument '1x' is/,
      });
      chmodSync(at('words'), 0o644);
      await fails(restore, { code: EXIT.permission, text: /words: others can read this file/ });
      await fails(['wallet', 'new', ...keystore], {
        ...{ code: EXIT.usage, text: /a password is needed: give --password-file/ },
      });
    });
  });

  describe('help', () => {
    it('of every command has its usage and an example', async () => {
      const leaves: string[][] = [];
      const visit = async (path: string[]): Promise<void> => {
        const help = await succeeds([...path, '--help']);
        assert.match(help, new RegExp(`^Usage: mpbp ?${path.join(' ')}`), path.join(' '));
        const [, listed] = help.split('\nCommands:\n');
        if (listed === undefined) {
          assert.match(help, /\nExample:\n {2}\$ mpbp /, `mpbp ${path.join(' ')} --help`);
          leaves.push(path);
          return;
        }
        const names = [...listed.matchAll(/^ {2}([a-z-]+)/gm)].map((match) => match[1] ?? '');
        const real = names.filter((name) => name !== 'help');
        assert.ok(real.length > 0);
        for (let first = 0; first < real.length; first += 3) {
          await Promise.all(real.slice(first, first + 3).map((name) => visit([...path, name])));
        }
      };
      await visit([]);
      assert.ok(leaves.length >= 19, `${leaves.length} commands`);
    });

    it('shows the version, and where to look after a mistake', async () => {
      assert.match(await succeeds(['--version']), /^\d+\.\d+\.\d+\n$/);
      await fails(['pay'], { code: EXIT.usage, text: /\(mpbp --help, or mpbp COMMAND --help\)/ });
    });
  });
});
