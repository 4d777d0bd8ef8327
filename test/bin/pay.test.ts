import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { EXIT } from '#src/lib/failure.ts';
import { reservePorts } from '../ports.ts';
import { Program, program } from './program.ts';

const root = mkdtempSync(join(tmpdir(), 'mpbp-pay-'));
const mpbp = new Program(root);
const closing: (() => void)[] = [];
const own = ['--keystore', join(root, 'keys'), '--password-file', join(root, 'password')];
const payee = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';

before(async () => {
  writeFileSync(join(root, 'password'), 'x\n', { mode: 0o600 });
  await mpbp.json('wallet', 'new', ...own);
});
after(() => {
  for (const close of closing) close();
  rmSync(root, { recursive: true, force: true });
});

type Answer = { result?: unknown; error?: unknown } | 'cut';
const receipt = {
  ...{ transactionHash: `0x${'11'.repeat(32)}`, blockNumber: '0x7', blockHash: '0x0', logs: [] },
  ...{ status: '0x1', gasUsed: '0x5208', effectiveGasPrice: '0xa' },
};

/** A node that takes payments as it is told, one answer after the other; keeps what was sent. */
async function node(answers: Answer[], rest: Record<string, unknown> = {}) {
  const sent: string[] = [];
  const usual: Record<string, unknown> = {
    ...{ eth_chainId: '0x1a47', eth_getTransactionCount: '0x0', eth_gasPrice: '0xa' },
    ...{ eth_estimateGas: '0x5208', eth_getBalance: '0x56bc75e2d63100000', ...rest },
  };
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const { id, method, params } = JSON.parse(body);
      let answer: Answer = { result: usual[method] };
      if (method === 'eth_sendRawTransactionSync') {
        sent.push(params[0]);
        answer = answers.shift() ?? { result: receipt };
      }
      if (answer === 'cut') request.socket.destroy();
      else response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
    });
  });
  const port = await reservePorts(1);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  closing.push(() => void server.close());
  return { sent, rpc: ['--rpc', `http://127.0.0.1:${port}`] };
}

describe('mpbp pay', { timeout: 120_000 }, () => {
  it('sends the same bytes again where the node goes away behind them', async () => {
    const { sent, rpc } = await node(['cut', 'cut', { result: receipt }]);
    const { code, stdout, stderr } = await mpbp.run('pay', payee, '1', ...own, ...rpc);
    assert.equal(code, EXIT.ok, stderr);
    assert.match(stdout, /paid 1 MPB/);
    assert.equal(sent.length, 3);
    assert.equal(new Set(sent).size, 1, 'one payment, however often it was sent');
  });

  it('says that a payment may still become final, and does not send another', async () => {
    const late = { error: { code: 4, message: 'not final after 20000 ms' } };
    const { sent, rpc } = await node([late]);
    const text = /Payment 0x[0-9a-f]{64} may still become final; .* \[NOT_FINAL\]/;
    await mpbp.fails(EXIT.unavailable, text, 'pay', payee, '1', ...own, ...rpc);
    assert.equal(sent.length, 1);
  });

  it("gives the node's refusals with their code, and what a failed payment cost", async () => {
    const data = { code: 'NONCE_TOO_LOW' };
    const low = { error: { code: -32000, message: 'nonce too low: …', data } };
    const refused = await node([low]);
    const text = /nonce too low: … \[NONCE_TOO_LOW\]/;
    await mpbp.fails(EXIT.badData, text, 'pay', payee, '1', ...own, ...refused.rpc);
    const failed = await node([{ result: { ...receipt, status: '0x0' } }]);
    const reverted = /nothing was paid, and it cost 0\.00000000000021 MPB \[REVERTED\]/;
    await mpbp.fails(EXIT.badData, reverted, 'pay', payee, '1', ...own, ...failed.rpc);
  });

  it('does not believe a node that wants a fee of thousands', async () => {
    const { sent, rpc } = await node([], { eth_gasPrice: '0xde0b6b3a7640000' });
    await mpbp.fails(EXIT.badData, /FEE_ABOVE_MAX/, 'pay', payee, '1', ...own, ...rpc);
    assert.equal(sent.length, 0);
  });

  /** `script` (util-linux) gives the command a terminal. */
  const hasScript = spawnSync('script', ['--version']).status === 0;
  it('asks on a terminal, and pays only after a yes', { skip: !hasScript }, async () => {
    for (const [typed, count] of [
      ['n\n', 0],
      ['\n', 0],
      ['yes\n', 1],
    ] as const) {
      const { sent, rpc } = await node([]);
      const line = [process.execPath, program, 'pay', payee, '1', ...own, ...rpc].join(' ');
      const asked = await runOnTerminal(line, [['[y/N]', typed]]);
      assert.match(asked, /fee {3}at most .*\r?\n(.|\n)*pay this\? \[y\/N\]/);
      assert.match(asked, count === 0 ? /not paid/ : /paid 1 MPB/);
      assert.equal(sent.length, count, JSON.stringify(typed));
    }
  });

  it('asks for a password without showing it', { skip: !hasScript }, async () => {
    const { sent, rpc } = await node([]);
    const typed = [process.execPath, program, 'wallet', 'new', '--keystore', join(root, 'typed')];
    const made = await runOnTerminal(typed.join(' '), [
      ['new password:', 'Geheim 1\n'],
      ['once more:', 'Geheim 1\n'],
    ]);
    assert.match(made, /kept in /);
    const from = ['--keystore', join(root, 'typed')];
    const line = [process.execPath, program, 'pay', payee, '1', ...from, ...rpc].join(' ');
    const paid = await runOnTerminal(line, [
      ['password of 0x', 'Geheim 1\n'],
      ['[y/N]', 'y\n'],
    ]);
    assert.match(paid, /paid 1 MPB/);
    assert.equal(sent.length, 1);
    assert.doesNotMatch(made + paid, /Geheim/);
  });
});

/** Answers each question once it is asked; what the terminal showed. */
function runOnTerminal(
  line: string,
  answers: readonly (readonly [string, string])[],
): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', HOME: root };
  const child = spawn('script', ['-qec', line, '/dev/null'], { cwd: root, env, timeout: 30_000 });
  const left = [...answers];
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    const [question, typed] = left[0] ?? ['', ''];
    if (question === '' || !shown.includes(question)) return;
    left.shift();
    child.stdin.write(typed);
  });
  return new Promise((resolve) => child.once('close', () => resolve(shown)));
}
