/** A validator whose key lives in another process: real processes, a real socket. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { toHex } from '#src/lib/bytes.ts';
import { parseGenesis } from '#src/types/genesis.ts';
import type { Hash } from '#src/types/hash.ts';
import { asEpoch, asView } from '#src/types/units.ts';
import { encodeStatement, type Statement, VoteKind } from '#src/types/vote.ts';
import { Cluster } from '../chaos/cluster.ts';
import { observerId } from '../chaos/observer.ts';
import { call } from '../chaos/witness.ts';
import { run } from './devnet.ts';

const program = join(import.meta.dirname, '..', '..', 'bin', 'mpbp.ts');

describe('a signer in another process', () => {
  const dir = mkdtempSync(join(tmpdir(), 'mpbp-signer-'));
  const socket = join(dir, 'signer.sock');
  let cluster: Cluster;
  let signer: ChildProcess;

  const genesis = () => join(cluster.members[0]?.dir ?? '', 'genesis.json');
  const startSigner = (...flags: string[]) => {
    const args = ['signer', '--data-dir', dir, '--genesis', genesis(), '--socket', socket];
    signer = spawn(process.execPath, [program, ...args, ...flags], { stdio: 'ignore' });
  };
  const status = async () => {
    const rpc = cluster.members[3]?.rpc ?? '';
    return call<{ validator: string | null; recalling: boolean }>(rpc, 'mpbp_nodeStatus', []);
  };
  const height = async (at: number) =>
    Number(await call<string>(cluster.members[at]?.rpc ?? '', 'eth_blockNumber', []));

  before(async () => {
    cluster = await Cluster.create({
      validators: 4,
      observer: observerId,
      config: { heartbeatMs: 1_000 },
      environment: (index) => (index === 3 ? { MPBP_CONSENSUS_SIGNER: socket } : {}),
    });
    cpSync(join(cluster.members[3]?.dir ?? '', 'keys'), join(dir, 'keys'), { recursive: true });
    // Gone from the node: it cannot sign by itself.
    rmSync(join(cluster.members[3]?.dir ?? '', 'keys', 'consensus.json'));
    startSigner('--first-start');
    await eventually(async () => (await ask({ ask: 'keys' })) !== null);
    cluster.startAll();
  });

  after(async () => {
    signer.kill('SIGKILL');
    await cluster.destroy(false);
    rmSync(dir, { recursive: true, force: true });
  });

  /** What a node would ask; null where nobody listens. */
  function ask(request: Record<string, unknown>): Promise<Record<string, unknown> | null> {
    return new Promise((resolve) => {
      const wire = connect(socket);
      wire.setEncoding('utf8');
      wire.once('error', () => resolve(null));
      // A signer that is killed with the question in its hands closes without an answer.
      wire.once('close', () => resolve(null));
      wire.once('data', (text: string) => {
        wire.destroy();
        resolve(JSON.parse(text) as Record<string, unknown>);
      });
      wire.write(`${JSON.stringify({ id: 1, ...request })}\n`);
    });
  }

  it('votes for a validator that holds no key', async () => {
    await eventually(async () => (await status()).validator !== null);
    await eventually(async () => !(await status()).recalling);
    // Without its votes the other three would have to agree without one of them.
    await cluster.kill(0);
    const from = await height(3);
    await eventually(async () => (await height(3)) > from + 1);
    cluster.start(0);
  });

  it('is waited for while it is away, and everything else goes on', async () => {
    signer.kill('SIGKILL');
    const from = await height(3);
    await eventually(async () => (await height(3)) > from + 1);
    startSigner();
    await eventually(async () => (await ask({ ask: 'keys' })) !== null);
    await eventually(async () => (await height(0)) > from + 2);
    await cluster.kill(0);
    const later = await height(3);
    await eventually(async () => (await height(3)) > later + 1);
    cluster.start(0);
  });

  it('refuses what contradicts it, whoever asks', async () => {
    const parsed = parseGenesis(cluster.genesisText);
    assert.ok(parsed.ok);
    const { keys } = (await ask({ ask: 'keys' })) as { keys: string[] };
    const [key = ''] = keys;
    const vote = (kind: VoteKind, byte: number): string => {
      const isNullify = kind === VoteKind.Nullify;
      const statement: Statement = {
        kind,
        epoch: asEpoch(7),
        view: asView(3),
        parentView: asView(isNullify ? 0 : 2),
        blockHash: `0x${(isNullify ? '00' : `0${byte}`).repeat(32)}` as Hash,
      };
      return toHex(encodeStatement(statement, cluster.networkId));
    };
    const sign = (statement: string) => ask({ ask: 'sign', key, statement });
    const first = await sign(vote(VoteKind.Finalize, 1));
    assert.equal(typeof first?.signature, 'string');
    assert.deepEqual(await sign(vote(VoteKind.Finalize, 1)), first, 'the same bytes again');
    assert.deepEqual(await sign(vote(VoteKind.Finalize, 2)), { id: 1, refused: 'SIGN_CONFLICT' });
    assert.deepEqual(await sign(vote(VoteKind.Nullify, 0)), { id: 1, refused: 'SIGN_CONFLICT' });
    const unknown = { ask: 'sign', key: `0x${'11'.repeat(32)}`, statement: '0x00' };
    assert.deepEqual(await ask(unknown), { id: 1, refused: 'SIGN_UNKNOWN_KEY' });
  });

  it('has each of its starts in its audit log', async () => {
    const { stdout, code } = await run(['audit', 'log', dir, '--json']);
    assert.equal(code, 0);
    const { acts } = JSON.parse(stdout) as { acts: { act: string; detail: { socket: string } }[] };
    const starts = acts.filter(({ act }) => act === 'signer start');
    assert.ok(starts.length >= 2, stdout);
    assert.ok(starts.every(({ detail }) => detail.socket === socket));
  });

  it('does not begin again without its memory', async () => {
    signer.kill('SIGKILL');
    rmSync(join(dir, 'sign-state'), { recursive: true });
    const args = ['signer', '--data-dir', dir, '--genesis', genesis(), '--socket', socket];
    const { code, stderr } = await run(args);
    assert.equal(code, 65);
    assert.match(stderr, /sign-state is missing: .*rotate the key/);
  });
});

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  for (let tried = 0; tried < 150; tried++) {
    if (await holds().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`not within 15 s: ${holds.toString()}`);
}
