import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBlockHeaderFromRLP } from '@ethereumjs/block';
import { createCustomCommon, Hardfork, Mainnet } from '@ethereumjs/common';
import fc from 'fast-check';
import { keccak256 } from 'viem';
import { concatBytes, toHex } from '#src/lib/bytes.ts';
import {
  decodeBlock,
  encodeBlock,
  makeBlock,
  rawTransactionsIn,
  transactionsRoot,
} from '#src/types/block.ts';
import { hashFromBytes } from '#src/types/hash.ts';
import { decodeHeader, encodeHeader, hashHeader, headerToRlp } from '#src/types/header.ts';
import { listRoot, trieRoot } from '#src/types/listRoot.ts';
import { bloomOf, decodeReceipt, encodeReceipt, makeReceipt } from '#src/types/receipt.ts';
import { encodeRlp, type RlpItem, uintToRlp } from '#src/types/rlp.ts';
import { signTransaction } from '#src/types/transaction.ts';
import { asGas } from '#src/types/units.ts';
import { anyAddress, anyFields, anyHash, anyHeader, anyPrivateKey, chainId } from './samples.ts';
import { bytes, listVectors, readVectors, testWithVectors } from './vectors.ts';

const common = createCustomCommon({ chainId: Number(chainId) }, Mainnet, {
  hardfork: Hardfork.Osaka,
});

test('any library reads our header and computes our block hash', () => {
  fc.assert(
    fc.property(anyHeader, (any) => {
      // The other library has a rule of its own about these two.
      const gasLimit = asGas(any.gasLimit > any.gasUsed ? any.gasLimit : any.gasUsed);
      const header = { ...any, gasLimit };
      const encoded = encodeHeader(header);
      const theirs = createBlockHeaderFromRLP(encoded, {
        common,
        skipConsensusFormatValidation: true,
      });
      assert.equal(toHex(theirs.hash()), hashHeader(header));
      assert.equal(theirs.number, header.height);
      assert.equal(keccak256(encoded), hashHeader(header));
      assert.deepEqual(decodeHeader(encoded), { ok: true, value: header });
    }),
    { numRuns: 100 },
  );
});

const sample = fc.sample(anyHeader, { numRuns: 1, seed: 1 })[0];
assert.ok(sample !== undefined);
const sampleHeader = sample;

function changed(at: number, item: RlpItem): Uint8Array {
  const items = headerToRlp(sampleHeader);
  items[at] = item;
  return encodeRlp(items);
}

test('header fields out of place are refused by name', () => {
  const rows: { at: number; item: RlpItem; field: string }[] = [
    { at: 0, item: new Uint8Array(31), field: 'parentHash' },
    { at: 1, item: new Uint8Array(32), field: 'sha3Uncles' },
    { at: 2, item: [], field: 'miner' },
    { at: 6, item: new Uint8Array(255), field: 'logsBloom' },
    { at: 7, item: uintToRlp(1), field: 'difficulty' },
    { at: 8, item: bytes('0001'), field: 'number' },
    { at: 11, item: uintToRlp(1), field: 'timestamp' },
    { at: 12, item: bytes('c0'), field: 'extraData' },
    { at: 12, item: new Uint8Array(1000), field: 'extraData' },
    { at: 14, item: bytes('0000000000000001'), field: 'nonce' },
    { at: 16, item: new Uint8Array(32), field: 'withdrawalsRoot' },
    { at: 19, item: new Uint8Array(32).fill(1), field: 'parentBeaconBlockRoot' },
    { at: 20, item: new Uint8Array(32), field: 'requestsHash' },
    { at: 21, item: new Uint8Array(), field: 'layout' },
  ];
  for (const { at, item, field } of rows) {
    const verdict = decodeHeader(changed(at, item));
    assert.ok(!verdict.ok && verdict.refusal.code === 'HEADER', field);
    assert.equal(verdict.refusal.field, field);
  }
});

const someBlock = fc
  .tuple(anyHeader, fc.array(fc.tuple(anyFields, anyPrivateKey), { maxLength: 4 }))
  .map(([header, pairs]) => {
    const transactions = pairs.map(([fields, key]) => signTransaction(fields, key));
    return makeBlock({ ...header, transactionsRoot: transactionsRoot(transactions) }, transactions);
  });

test('a block goes to bytes and back', () => {
  fc.assert(
    fc.property(someBlock, (block) => {
      assert.deepEqual(decodeBlock(encodeBlock(block), { chainId }), { ok: true, value: block });
    }),
    { numRuns: 50 },
  );
});

test('blocks that are refused', () => {
  const block = fc.sample(
    someBlock.filter((candidate) => candidate.transactions.length === 2),
    { numRuns: 1, seed: 3 },
  )[0];
  assert.ok(block !== undefined);
  const [one, two] = block.transactions;
  assert.ok(one !== undefined && two !== undefined);
  const header = headerToRlp(block.header);
  const garbage = bytes('c0');
  const wrongBody = headerToRlp({
    ...block.header,
    transactionsRoot: trieRoot([[bytes('80'), garbage]]),
  });
  const rows: { when: string; input: Uint8Array; code: string }[] = [
    {
      when: 'a transaction is left out',
      input: encodeRlp([header, [one.raw]]),
      code: 'BLOCK_TRANSACTIONS_ROOT',
    },
    {
      when: 'two change places',
      input: encodeRlp([header, [two.raw, one.raw]]),
      code: 'BLOCK_TRANSACTIONS_ROOT',
    },
    {
      when: 'a transaction is garbage',
      input: encodeRlp([wrongBody, [garbage]]),
      code: 'BLOCK_TRANSACTION',
    },
    { when: 'a transaction is a list', input: encodeRlp([header, [[]]]), code: 'BLOCK_LAYOUT' },
    { when: 'a third part', input: encodeRlp([header, [], []]), code: 'BLOCK_LAYOUT' },
    { when: 'a byte follows', input: concatBytes(encodeBlock(block), bytes('00')), code: 'RLP' },
    {
      when: '4 MiB and a byte',
      input: new Uint8Array(4 * 1024 * 1024 + 1),
      code: 'BLOCK_TOO_LARGE',
    },
    {
      when: '20,001 transactions',
      input: encodeRlp([header, new Array(20_001).fill(garbage)]),
      code: 'BLOCK_TRANSACTIONS',
    },
  ];
  for (const { when, input, code } of rows) {
    const verdict = decodeBlock(input, { chainId });
    assert.ok(!verdict.ok, when);
    assert.equal(verdict.refusal.code, code, when);
  }
});

test('of a body that no block has no payment is looked at', () => {
  const under = (root: readonly Uint8Array[], body: readonly Uint8Array[]) => {
    const header = { ...sampleHeader, transactionsRoot: listRoot(root) };
    return rawTransactionsIn(encodeRlp([headerToRlp(header), body]));
  };
  const many = new Array<Uint8Array>(20_001).fill(bytes('01'));
  const most = many.slice(1);
  assert.equal(under(most, most).length, 20_000);
  assert.equal(under(many, many).length, 0, 'more than any block has');
  assert.equal(under(most, [...most.slice(1), bytes('02')]).length, 0, 'not what the header says');
  assert.deepEqual(rawTransactionsIn(encodeRlp([[], most])), []);
  assert.deepEqual(rawTransactionsIn(bytes('c0')), []);
});

const anyReceipt = fc
  .record(
    {
      type: fc.constantFrom(0 as const, 1 as const, 2 as const),
      succeeded: fc.boolean(),
      cumulativeGasUsed: fc.bigInt({ min: 0n, max: 1n << 60n }).map(asGas),
      logs: fc.array(
        fc.record(
          {
            address: anyAddress,
            topics: fc.array(anyHash, { maxLength: 4 }),
            data: fc.uint8Array({ maxLength: 80 }),
          },
          { noNullPrototype: true },
        ),
        { maxLength: 3 },
      ),
    },
    { noNullPrototype: true },
  )
  .map(makeReceipt);

test('a receipt goes to bytes and back', () => {
  fc.assert(
    fc.property(anyReceipt, (receipt) => {
      assert.deepEqual(decodeReceipt(encodeReceipt(receipt)), { ok: true, value: receipt });
    }),
  );
});

test('the bloom of a known log', () => {
  // Checked by hand against the yellow paper's definition: 3 bits of keccak(entry), 11 bits each.
  fc.assert(
    fc.property(anyAddress, anyHash, (address, topic) => {
      const bloom = bloomOf([{ address, topics: [topic], data: new Uint8Array() }]);
      const want = new Uint8Array(256);
      for (const entry of [address, topic]) {
        const hash = bytes(keccak256(entry));
        for (const i of [0, 2, 4]) {
          const bit = new DataView(hash.buffer).getUint16(i) % 2048;
          want[255 - Math.floor(bit / 8)] =
            (want[255 - Math.floor(bit / 8)] ?? 0) | (1 << (bit % 8));
        }
      }
      assert.deepEqual(bloom, want);
    }),
    { numRuns: 20 },
  );
});

type TrieTest = { in: Record<string, string | null> | [string, string | null][]; root: string };
const toBytes = (text: string): Uint8Array =>
  text.startsWith('0x') ? bytes(text) : new Uint8Array(Buffer.from(text));

testWithVectors('TrieTests of ethereum/tests', 'TrieTests', () => {
  for (const path of listVectors('TrieTests')) {
    if (path.includes('nextprev')) continue;
    for (const [name, vector] of Object.entries(readVectors<Record<string, TrieTest>>(path))) {
      const final = new Map<string, string>();
      for (const [key, value] of Array.isArray(vector.in) ? vector.in : Object.entries(vector.in)) {
        if (value === null) final.delete(key);
        else final.set(key, value);
      }
      const secure = /secure/i.test(path);
      const pairs = [...final].map(([key, value]): [Uint8Array, Uint8Array] => {
        const path = toBytes(key);
        return [secure ? bytes(keccak256(path)) : path, toBytes(value)];
      });
      assert.equal(trieRoot(pairs), hashFromBytes(bytes(vector.root)), `${path} ${name}`);
    }
  }
});
