import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { toHex } from '#src/lib/bytes.ts';
import { addressToBytes } from '#src/types/address.ts';
import { encodeRlp, uintToRlp } from '#src/types/rlp.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { contract, loud } from './fakeBackend.ts';
import {
  type Answer,
  addressOf,
  coin,
  keyOf,
  openWorld,
  payee,
  payment,
  rawOf,
  resultOf,
  sleep,
} from './harness.ts';

const world = await openWorld({ logBlocksMax: 8, logResultsMax: 5, filtersMax: 4 });
const { backend } = world;
const rich = addressOf(0);
/** Nonce, price, gas, to, value, data, and a signature with `v` as it was before EIP-155. */
const unprotected = toHex(
  encodeRlp([
    ...[0n, 9n, 21_000n].map(uintToRlp),
    addressToBytes(payee),
    uintToRlp(1n),
    new Uint8Array(0),
    ...[28n, 1n, 1n].map(uintToRlp),
  ]),
);

describe('sending', () => {
  const rows: { when: string; raw: string; message: RegExp; code: string }[] = [
    {
      when: 'garbage',
      raw: '0x00',
      message: /^transaction type not supported$/,
      code: 'TX_TYPE_NOT_SUPPORTED',
    },
    { when: 'no list', raw: '0x01', message: /^rlp: /, code: 'RLP' },
    {
      when: 'over 128 KiB',
      raw: `0x02${'00'.repeat(131_072)}`,
      message: /^oversized data/,
      code: 'OVERSIZED_DATA',
    },
    {
      when: 'another chain',
      raw: rawOf(payment({ chainId: 1n })),
      message: /^invalid chain id/,
      code: 'INVALID_CHAIN_ID',
    },
    {
      when: 'too little gas',
      raw: rawOf(payment({ gasLimit: asGas(20_000n) })),
      message: /^intrinsic gas too low: gas 20000, minimum needed 21000$/,
      code: 'INTRINSIC_GAS_TOO_LOW',
    },
    {
      when: 'no funds',
      raw: rawOf(payment({ value: asWei(10_000n * coin) })),
      message: /^insufficient funds for gas \* price \+ value: address 0x/,
      code: 'INSUFFICIENT_FUNDS',
    },
    {
      when: 'a cap below the base fee',
      raw: rawOf(payment({ maxFeePerGas: asWei(1n), maxPriorityFeePerGas: asWei(0n) })),
      message: /^max fee per gas less than block base fee/,
      code: 'FEE_CAP_TOO_LOW',
    },
    {
      when: 'a nonce far ahead',
      raw: rawOf(payment({ nonce: 100n })),
      message: /^nonce too high/,
      code: 'NONCE_TOO_HIGH',
    },
    {
      when: 'more gas than EIP-7825 allows',
      raw: rawOf(payment({ gasLimit: asGas((1n << 24n) + 1n) })),
      message: /^exceeds block gas limit/,
      code: 'EXCEEDS_BLOCK_GAS_LIMIT',
    },
    {
      when: 'a tip above the cap',
      raw: rawOf(payment({ maxPriorityFeePerGas: asWei(10n * coin) })),
      message: /^max priority fee per gas higher than max fee per gas/,
      code: 'TIP_ABOVE_FEE_CAP',
    },
    {
      when: 'no protection against replays (EIP-155)',
      // The first one of its kind, with a signature of v = 28.
      raw: unprotected,
      message: /^only replay-protected \(EIP-155\) transactions allowed over RPC$/,
      code: 'UNPROTECTED',
    },
    {
      when: 'a creation with too much init code',
      raw: rawOf(payment({ to: null, data: new Uint8Array(49_153), gasLimit: asGas(1_000_000n) })),
      message: /^max initcode size exceeded/,
      code: 'INIT_CODE_TOO_LONG',
    },
  ];
  for (const { when, raw, message, code } of rows) {
    it(`#26 ${when}: -32000 with the words that libraries match`, async () => {
      const { error } = await world.call('eth_sendRawTransaction', raw);
      assert.equal(error?.code, -32000);
      assert.match(error?.message ?? '', message);
      assert.equal((error?.data as { code: string }).code, code);
    });
  }

  it('#85 a known payment is "already known", a mined one "nonce too low"', async () => {
    const transaction = payment({}, keyOf(5));
    assert.equal(await world.ask('eth_sendRawTransaction', rawOf(transaction)), transaction.hash);
    const again = await world.call('eth_sendRawTransaction', rawOf(transaction));
    assert.equal(again.error?.message, 'already known');
    assert.equal(await world.ask('eth_getTransactionReceipt', transaction.hash), null);
    const waiting = await world.ask('mpbp_getPoolTransaction', transaction.hash);
    assert.equal((waiting as { hash: string }).hash, transaction.hash);
    backend.mine();
    const mined = await world.call('eth_sendRawTransaction', rawOf(transaction));
    assert.match(mined.error?.message ?? '', /^nonce too low: address 0x\w{40}, tx: 0 state: 1$/);
    assert.deepEqual(mined.error?.data, {
      ...{ code: 'NONCE_TOO_LOW', address: addressOf(5), want: '0x1', got: '0x0' },
    });
  });

  it('one in place of another at the same price is underpriced', async () => {
    const key = keyOf(4);
    await world.ask('eth_sendRawTransaction', rawOf(payment({}, key)));
    const { error } = await world.call(
      'eth_sendRawTransaction',
      rawOf(payment({ value: asWei(2n) }, key)),
    );
    assert.equal(error?.code, -32000);
    assert.equal(error?.message, 'replacement transaction underpriced');
    backend.mine();
  });

  it('a method that is not there is told apart from all else', async () => {
    const { error } = await world.call('eth_coinbase');
    assert.equal(error?.code, -32601);
    assert.equal(error?.message, 'the method eth_coinbase does not exist/is not available');
  });

  it('a batch of a sender goes in in order, with refusals in place', async () => {
    const items = [0n, 1n, 1n, 2n].map((nonce, id) => ({
      ...{ jsonrpc: '2.0', id, method: 'eth_sendRawTransaction' },
      params: [rawOf(payment({ nonce }, keyOf(6)))],
    }));
    const response = await world.post(JSON.stringify(items));
    const answers = (await response.json()) as Answer[];
    assert.deepEqual(
      answers.map(({ id, error }) => [id, error?.message]),
      [0, 1, 2, 3].map((id) => [id, id === 2 ? 'already known' : undefined]),
    );
    const next = await world.ask('eth_getTransactionCount', addressOf(6), 'pending');
    assert.equal(next, '0x3');
    assert.equal(await world.ask('eth_getTransactionCount', addressOf(6)), '0x0');
    backend.mine();
  });
});

describe('sending and waiting (EIP-7966)', () => {
  const send = (raw: string, ...rest: unknown[]) =>
    world.call('eth_sendRawTransactionSync', raw, ...rest);
  const key = keyOf(7);

  it('answers with the receipt in the moment of finality', async () => {
    const transaction = payment({ nonce: 0n }, key);
    const waiting = send(rawOf(transaction));
    while (backend.pool.get(transaction.hash) === null) await sleep(1);
    backend.mine();
    const receipt = resultOf(await waiting);
    assert.deepEqual(receipt, await world.ask('eth_getTransactionReceipt', transaction.hash));
  });

  it('misses nothing where the block comes within the submission', async () => {
    backend.automine = true;
    for (let nonce = 1n; nonce < 20n; nonce++) {
      const receipt = resultOf(await send(rawOf(payment({ nonce }, key)))) as { status: string };
      assert.equal(receipt.status, '0x1');
    }
    backend.automine = false;
  });

  it('answers at once for what is final, and joins who waits for what is known', async () => {
    const mined = resultOf(await send(rawOf(payment({ nonce: 3n }, key)))) as { from: string };
    assert.equal(mined.from, addressOf(7));
    const transaction = payment({ nonce: 20n }, key);
    await backend.submit(transaction.raw);
    const two = [send(rawOf(transaction)), send(rawOf(transaction))];
    await sleep(20);
    backend.mine();
    const [first, second] = (await Promise.all(two)).map(resultOf);
    assert.deepEqual(first, second);
  });

  it('says code 4 with the hash at the timeout, as number and as quantity', async () => {
    const transaction = payment({ nonce: 21n }, key);
    for (const timeout of [20, '0x14']) {
      const { error } = await send(rawOf(transaction), timeout);
      assert.equal(error?.code, 4);
      assert.equal(error?.data, transaction.hash);
      assert.match(error?.message ?? '', /20 ms/);
    }
  });

  it('refuses like eth_sendRawTransaction', async () => {
    const { error } = await send(rawOf(payment({ nonce: 0n, value: asWei(9n) }, key)));
    assert.equal(error?.code, -32000);
    assert.match(error?.message ?? '', /^nonce too low/);
  });
});

describe('calls without an EVM', () => {
  it('estimate the intrinsic gas with the floor of EIP-7623', async () => {
    const estimate = (call: object) => world.ask('eth_estimateGas', { from: rich, ...call });
    assert.equal(await estimate({ to: payee }), '0x5208');
    assert.equal(await estimate({ to: payee, data: '0x0001' }), `0x${(21_050).toString(16)}`);
    assert.equal(await estimate({ to: payee, input: '0x01', unknown: 1 }), '0x5230');
    const accessList = [{ address: payee, storageKeys: [] }];
    assert.equal(await estimate({ to: payee, accessList }), `0x${(23_400).toString(16)}`);
  });

  const rows: { when: string; call: object; code: number; message: RegExp; rest?: unknown[] }[] = [
    {
      when: 'code by override that is none',
      call: { to: payee },
      rest: ['latest', { [payee]: { code: '0xfe' } }],
      code: -32000,
      message: /^invalid opcode/,
    },
    {
      when: 'no funds',
      call: { to: payee, from: contract, value: '0x1' },
      code: -32000,
      message: /^insufficient funds for gas \* price \+ value: address/,
    },
    {
      when: 'little gas',
      call: { to: payee, gas: '0x5207' },
      code: -32000,
      message: /^gas required exceeds allowance \(20999\)$/,
    },
    {
      when: 'data and input differ',
      call: { to: payee, data: '0x01', input: '0x02' },
      code: -32602,
      message: /argument 0/,
    },
    {
      when: 'two kinds of price',
      call: { gasPrice: '0x1', maxFeePerGas: '0x1' },
      code: -32602,
      message: /gasPrice/,
    },
    {
      when: 'a tip above the cap',
      call: { maxFeePerGas: '0x1', maxPriorityFeePerGas: '0x2' },
      code: -32000,
      message: /^max priority fee per gas higher than max fee per gas/,
    },
    {
      when: 'a text for an object',
      call: 'x' as unknown as object,
      code: -32602,
      message: /argument 0/,
    },
  ];
  for (const { when, call, code, message, rest = [] } of rows) {
    it(`refuse ${when}`, async () => {
      const { error } = await world.call('eth_estimateGas', call, ...rest);
      assert.equal(error?.code, code, JSON.stringify(error));
      assert.match(error?.message ?? '', message);
    });
  }

  it('answer 0x, also with an override of the balance', async () => {
    const call = { from: contract, to: payee, value: '0x1' };
    assert.equal((await world.call('eth_call', call)).error?.code, -32000);
    const overrides = { [contract]: { balance: '0x1' } };
    assert.equal(await world.ask('eth_call', call, 'latest', overrides), '0x');
    assert.equal(await world.ask('eth_call', {}), '0x');
  });
});

describe('logs and filters', () => {
  it('#22 limits of blocks and results: -32005', async () => {
    while (backend.head.header.height < 20n) backend.mine();
    const long = await world.call('eth_getLogs', { fromBlock: '0x0' });
    assert.equal(long.error?.code, -32005);
    const key = keyOf(8);
    for (let nonce = 0n; nonce < 6n; nonce++) {
      await backend.submit(payment({ nonce, to: loud }, key).raw);
    }
    backend.mine();
    const many = await world.call('eth_getLogs', { address: loud });
    assert.equal(many.error?.code, -32005);
    assert.match(many.error?.message ?? '', /more than 5 results/);
    assert.deepEqual(await world.ask('eth_getLogs', { address: payee }), []);
    assert.deepEqual(await world.ask('eth_getLogs', { topics: [null, null, null] }), []);
  });

  it('tell each change once, in pages where it is long ago', async () => {
    const blocks = (await world.ask('eth_newBlockFilter')) as string;
    const logs = (await world.ask('eth_newFilter', { address: loud })) as string;
    const pending = (await world.ask('eth_newPendingTransactionFilter')) as string;
    const changes = (id: string) => world.ask('eth_getFilterChanges', id) as Promise<unknown[]>;
    const transaction = payment({ nonce: 6n, to: loud }, keyOf(8));
    await backend.submit(transaction.raw);
    const mined = Array.from({ length: 10 }, () => backend.mine().hash);
    assert.deepEqual(await changes(pending), [transaction.hash]);
    assert.deepEqual(await changes(pending), []);
    assert.deepEqual(await changes(blocks), mined.slice(0, 8));
    assert.deepEqual(await changes(blocks), mined.slice(8));
    assert.deepEqual(await changes(blocks), []);
    const [log] = (await changes(logs)) as { transactionHash: string }[];
    assert.equal(log?.transactionHash, transaction.hash);
    assert.deepEqual(await changes(logs), []);
    assert.deepEqual(await world.ask('eth_getFilterLogs', logs), []);
    assert.equal((await world.call('eth_getFilterLogs', blocks)).error?.code, -32000);
    for (const id of [blocks, logs, pending]) {
      assert.equal(await world.ask('eth_uninstallFilter', id), true);
      assert.equal(await world.ask('eth_uninstallFilter', id), false);
    }
    const gone = await world.call('eth_getFilterChanges', blocks);
    assert.equal(gone.error?.message, 'filter not found');
  });

  it('are bounded in number: -32005', async () => {
    const ids: unknown[] = [];
    for (let count = 0; count < 4; count++) ids.push(await world.ask('eth_newBlockFilter'));
    assert.equal((await world.call('eth_newBlockFilter')).error?.code, -32005);
    for (const id of ids) await world.ask('eth_uninstallFilter', id);
  });
});

describe('our own methods', () => {
  it('page through the history of an account, newest first', async () => {
    const all = await world.ask('mpbp_getAccountHistory', addressOf(7), null, 1_000);
    const { entries, cursor } = all as { entries: { kind: string; fee: string }[]; cursor: null };
    assert.equal(cursor, null);
    assert.ok(entries.length > 20);
    const paged: unknown[] = [];
    let from: string | null = null;
    do {
      const answer = await world.ask('mpbp_getAccountHistory', addressOf(7), from, '0x7');
      const page = answer as { entries: unknown[]; cursor: string | null };
      paged.push(...page.entries);
      from = page.cursor;
    } while (from !== null);
    assert.deepEqual(paged, entries);
    assert.deepEqual(Object.keys(entries[0] ?? {}), [
      ...['blockNumber', 'transactionIndex', 'kind', 'amount', 'fee', 'counterparty'],
      ...['transactionHash', 'timestampMs', 'memo', 'succeeded', 'token', 'orderId'],
      'virtualAddress',
    ]);
  });

  it('show the certificate, the validators and the status', async () => {
    const certificate = await world.ask('mpbp_getFinalityCertificate', '0x2');
    const { blockHash, signers, encoded } = certificate as Record<string, unknown>;
    assert.equal(blockHash, (await block('0x2')).hash);
    assert.deepEqual(signers, ['0x0', '0x1', '0x3']);
    assert.match(encoded as string, /^0x0101/);
    assert.equal(await world.ask('mpbp_getFinalityCertificate', '0x0'), null);
    assert.equal(await world.ask('mpbp_getFinalityCertificate', '0xffff'), null);
    const set = (await world.ask('mpbp_getValidators')) as Record<string, unknown>;
    assert.equal(set.totalStake, '0x28');
    assert.equal((set.validators as unknown[]).length, 4);
    assert.deepEqual(await world.ask('mpbp_getValidators', '0x0'), set);
    assert.equal(await world.ask('mpbp_getValidators', '0x1'), null);
    const membership = (await world.ask('mpbp_getMembership')) as Record<string, unknown>;
    assert.deepEqual(membership.validators, []);
    const status = (await world.ask('mpbp_nodeStatus')) as Record<string, unknown>;
    assert.equal(status.validator, '0x0');
    assert.equal((status.consensusKeys as string[]).length, 1);
    assert.deepEqual(status.suspects, ['0x2']);
    assert.equal(status.uptimeMs, '0x4d3');
  });

  const block = async (number: string) =>
    (await world.ask('eth_getBlockByNumber', number, false)) as { hash: string };
});

describe('the rest', () => {
  it('answers in a few words', async () => {
    assert.equal(await world.ask('web3_clientVersion'), 'mpbp/0.0.0-test');
    const empty = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470';
    assert.equal(await world.ask('web3_sha3', '0x'), empty);
    assert.equal(await world.ask('net_version'), '4242');
    assert.equal(await world.ask('net_listening'), true);
    assert.equal(await world.ask('net_peerCount'), '0x1');
    assert.equal(await world.ask('eth_syncing'), false);
    backend.blocksBehind = 5;
    const height = backend.head.header.height;
    const [currentBlock, highestBlock] = [height, height + 5n].map((at) => `0x${at.toString(16)}`);
    assert.deepEqual(await world.ask('eth_syncing'), {
      ...{ startingBlock: currentBlock, currentBlock, highestBlock },
    });
    backend.blocksBehind = 0;
    assert.deepEqual(Object.keys((await world.ask('rpc_modules')) as object).includes('eth'), true);
  });

  it('-32603 without a word of the inside where something breaks', async () => {
    backend.broken = new Error('secret');
    const { error } = await world.call('mpbp_nodeStatus');
    assert.deepEqual(error, { code: -32603, message: 'internal error' });
    backend.broken = null;
  });

  it('liveness always, readiness with its reasons', async () => {
    for (const path of ['/healthz', '/livez', '/liveness', '/health']) {
      assert.equal((await fetch(world.url + path)).status, 200);
    }
    assert.equal((await fetch(`${world.url}/readyz?minPeers=1`)).status, 200);
    world.readiness.now = { ready: false, checks: { blocksBehind: 7 } };
    const response = await fetch(`${world.url}/readiness`);
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), { ready: false, checks: { blocksBehind: 7 } });
    for (const query of ['minPeers=many', 'maxBlocksBehind=', 'minPeers=-1', 'peers=1']) {
      const bad = await fetch(`${world.url}/readiness?${query}`);
      assert.equal(bad.status, 400, query);
      assert.match(await bad.text(), /minPeers|maxBlocksBehind/);
    }
    assert.equal((await fetch(`${world.url}/healthz`)).status, 200);
  });
});

test('#4 what does not fit the response any more is not executed: -32003', async () => {
  const small = await openWorld({ responseBytesMax: 3_000 });
  const block = { jsonrpc: '2.0', method: 'eth_getBlockByNumber', params: ['latest', false] };
  const send = {
    ...{ jsonrpc: '2.0', id: 9, method: 'eth_sendRawTransaction' },
    params: [rawOf(payment())],
  };
  const body = JSON.stringify([
    { ...block, id: 1 },
    { ...block, id: 2 },
    { ...block, id: 3 },
    send,
  ]);
  const answers = (await (await small.post(body)).json()) as Answer[];
  assert.deepEqual(
    answers.map(({ id, error }) => [id, error?.code]),
    [
      [1, undefined],
      [2, -32003],
      [3, -32003],
      [9, -32003],
    ],
  );
  assert.equal(small.backend.pool.executable, 0, 'the payment was not sent');
});
