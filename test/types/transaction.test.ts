import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  hexToBytes,
  parseTransaction,
  recoverTransactionAddress,
  serializeTransaction,
} from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { CURVE_ORDER } from '#src/crypto/secp256k1.ts';
import { bytesToUint, concatBytes, toHex, uintToBytes } from '#src/lib/bytes.ts';
import type { Address } from '#src/types/address.ts';
import { decodeTransaction, describeRefusal } from '#src/types/decodeTransaction.ts';
import { decodeRlp, encodeRlp, isRlpList, type RlpItem, uintToRlp } from '#src/types/rlp.ts';
import {
  type Authorization,
  type SignedTransaction,
  signAuthorization,
  signTransaction,
} from '#src/types/transaction.ts';
import { asGas, asWei } from '#src/types/units.ts';
import { anyFields, anyPrivateKey, chainId } from './samples.ts';
import { bytes, listVectors, readVectors, testWithVectors } from './vectors.ts';

const options = { chainId };

function toViem(tx: SignedTransaction) {
  const common = {
    chainId: Number(tx.chainId),
    nonce: Number(tx.nonce),
    gas: tx.gasLimit,
    to: tx.to,
    value: tx.value,
    data: toHex(tx.data),
  };
  const price = { gasPrice: tx.maxFeePerGas };
  if (tx.type === 0) return { ...common, ...price, type: 'legacy' as const };
  const accessList = tx.accessList.map(({ address, storageKeys }) => ({
    address,
    storageKeys: [...storageKeys],
  }));
  if (tx.type === 1) return { ...common, ...price, accessList, type: 'eip2930' as const };
  const fees = { maxFeePerGas: tx.maxFeePerGas, maxPriorityFeePerGas: tx.maxPriorityFeePerGas };
  if (tx.type === 2) return { ...common, ...fees, accessList, type: 'eip1559' as const };
  const authorizationList = tx.authorizationList.map(({ r, s, chainId, nonce, ...rest }) => ({
    ...{ ...rest, chainId: Number(chainId), nonce: Number(nonce) },
    ...{ r: toHex(uintToBytes(r, 32)), s: toHex(uintToBytes(s, 32)) },
  }));
  const list = { accessList, authorizationList, to: tx.to ?? undefined };
  return { ...common, ...fees, ...list, type: 'eip7702' as const };
}

test('signs the same bytes as viem, and decodes them to the same sender', async () => {
  const safeNonce = anyFields.filter((fields) => fields.nonce <= Number.MAX_SAFE_INTEGER);
  await fc.assert(
    fc.asyncProperty(safeNonce, anyPrivateKey, async (fields, key) => {
      const ours = signTransaction(fields, key);
      const account = privateKeyToAccount(toHex(key));
      const theirs = await account.signTransaction(toViem(ours));
      assert.equal(toHex(ours.raw), theirs);
      assert.equal(ours.sender, account.address.toLowerCase());
      const decoded = decodeTransaction(hexToBytes(theirs), options);
      assert.ok(decoded.ok);
      assert.deepEqual(decoded.value, ours);
    }),
    { numRuns: 60 },
  );
});

test('what is accepted is canonical, and viem recovers the same sender', async () => {
  const input = fc
    .tuple(anyFields, anyPrivateKey, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }))
    .map(([fields, key, flips]) => {
      const raw = signTransaction(fields, key).raw;
      for (const [at, byte] of flips) raw[at % raw.length] = byte;
      return raw;
    });
  await fc.assert(
    fc.asyncProperty(input, async (raw) => {
      const decoded = decodeTransaction(raw, options);
      if (!decoded.ok) return;
      const tx = decoded.value;
      // What viem has no room for: greater numbers, and parities that no signature has.
      const entries = [tx, ...tx.authorizationList];
      const fits = entries.every(({ nonce }) => nonce <= Number.MAX_SAFE_INTEGER);
      if (!fits || tx.authorizationList.some(({ yParity }) => yParity > 1)) return;
      const signature = {
        r: toHex(uintToBytes(tx.r, 32)),
        s: toHex(uintToBytes(tx.s, 32)),
        v: tx.v,
      };
      const form = { ...signature, yParity: tx.yParity };
      assert.equal(serializeTransaction(toViem(tx), form), toHex(raw));
      const text = toHex(raw) as Parameters<
        typeof recoverTransactionAddress
      >[0]['serializedTransaction'];
      const sender = await recoverTransactionAddress({ serializedTransaction: text });
      assert.equal(sender.toLowerCase(), tx.sender);
    }),
    { numRuns: 150 },
  );
});

const key = uintToBytes(1n, 32);
const fields = {
  type: 2 as const,
  chainId,
  nonce: 7n,
  maxFeePerGas: asWei(20n),
  maxPriorityFeePerGas: asWei(2n),
  gasLimit: asGas(21_000n),
  to: `0x${'11'.repeat(20)}` as Address,
  value: asWei(5n),
  data: new Uint8Array(),
  accessList: [],
  authorizationList: [],
};

test('a sender that the pool knows is not recovered again', () => {
  const tx = signTransaction(fields, key);
  const other = `0x${'22'.repeat(20)}` as Address;
  const decoded = decodeTransaction(tx.raw, {
    ...options,
    senderOf: (hash) => (hash === tx.hash ? other : null),
  });
  assert.ok(decoded.ok && decoded.value.sender === other);
});

/** The RLP items of a type 2 transaction with some of them changed; -1 is the last. */
function changed(changes: Record<number, RlpItem>, drop = 0): Uint8Array {
  const tx = signTransaction(fields, key);
  const items: RlpItem[] = [
    ...[chainId, 7n, 2n, 20n, 21_000n].map(uintToRlp),
    bytes('11'.repeat(20)),
    uintToRlp(5n),
    new Uint8Array(),
    [],
    ...[BigInt(tx.yParity), tx.r, tx.s].map(uintToRlp),
  ];
  for (const [at, item] of Object.entries(changes)) items[Number(at)] = item;
  return concatBytes(Uint8Array.of(2), encodeRlp(items.slice(0, items.length - drop)));
}

function legacy(v: bigint, r: bigint, s: bigint, drop = 0): Uint8Array {
  const to = bytes('11'.repeat(20));
  const items = [uintToRlp(7n), uintToRlp(20n), uintToRlp(21_000n), to, uintToRlp(5n)];
  items.push(new Uint8Array(), uintToRlp(v), uintToRlp(r), uintToRlp(s));
  return encodeRlp(items.slice(0, items.length - drop));
}

const authorization = (changes: Partial<Authorization> = {}) =>
  signAuthorization({ chainId, address: fields.to, nonce: 0n, ...changes }, key);

/** A list in place of the six fields of one. */
function mangled(): Uint8Array {
  const { raw } = signTransaction(
    { ...fields, type: 4, authorizationList: [authorization()] },
    key,
  );
  const decoded = decodeRlp(raw.subarray(1), 1_000);
  assert.ok(decoded.ok && isRlpList(decoded.value));
  const items = [...decoded.value];
  const [[entry] = []] = [items[9] as RlpItem[][]];
  items[9] = [[...(entry ?? []), uintToRlp(1n)]];
  return concatBytes(Uint8Array.of(4), encodeRlp(items));
}

const signed = signTransaction(fields, key);
const keys = Array.from({ length: 1025 }, () => new Uint8Array(32));
const bomb = new Uint8Array(30_000).fill(0xc1);

const refusals: { when: string; raw: Uint8Array; code: string; text: RegExp }[] = [
  { when: 'nothing', raw: bytes(''), code: 'RLP', text: /^rlp: unexpected end/ },
  {
    when: 'over 128 KiB',
    raw: new Uint8Array(131_073),
    code: 'OVERSIZED_DATA',
    text: /^oversized data/,
  },
  {
    when: 'type 0',
    raw: bytes('00c0'),
    code: 'TX_TYPE_NOT_SUPPORTED',
    text: /^transaction type not supported$/,
  },
  { when: 'type 3, blobs', raw: bytes('03c0'), code: 'TX_TYPE_NOT_SUPPORTED', text: /type/ },
  { when: 'type 4 without fields', raw: bytes('04c0'), code: 'RLP', text: /^rlp: 0 fields$/ },
  ...[
    { when: 'of nobody', list: [], text: /is wrong: empty/ },
    { when: 'of 65', list: Array(65).fill(authorization()), text: /is wrong: too long/ },
    { when: 'of a creation', list: [authorization()], to: null, text: /is wrong: creation/ },
    {
      when: 'for another chain',
      list: [authorization(), authorization({ chainId: 1n })],
      text: /authorization 1 is refused: chain id/,
    },
    {
      when: 'to a native contract',
      list: [authorization({ address: `0x4d5042${'00'.repeat(16)}01` as Address })],
      text: /authorization 0 is refused: reserved address/,
    },
  ].map(({ when, list, text, ...rest }) => ({
    when: `type 4 with authorizations ${when}`,
    raw: signTransaction({ ...fields, type: 4, authorizationList: list, ...rest }, key).raw,
    code: /is wrong/.test(text.source) ? 'AUTHORIZATION_LIST' : 'AUTHORIZATION',
    text,
  })),
  {
    when: 'type 4 with an authorization of seven fields',
    raw: mangled(),
    code: 'RLP',
    text: /bad authorization list/,
  },
  { when: 'a byte string', raw: bytes('83aabbcc'), code: 'RLP', text: /expected a list/ },
  {
    when: 'a trailing byte',
    raw: concatBytes(signed.raw, bytes('00')),
    code: 'RLP',
    text: /more than one/,
  },
  { when: 'a truncated list', raw: signed.raw.slice(0, -1), code: 'RLP', text: /larger than its/ },
  { when: 'lists 30,000 deep', raw: bomb, code: 'RLP', text: /^rlp: / },
  { when: '13 fields', raw: changed({ 12: bytes('01') }), code: 'RLP', text: /13 fields/ },
  {
    when: 'a nonce with a leading zero',
    raw: changed({ 1: bytes('0007') }),
    code: 'RLP',
    text: /nonce/,
  },
  {
    when: 'a nonce of 9 bytes',
    raw: changed({ 1: uintToRlp(1n << 64n) }),
    code: 'RLP',
    text: /nonce/,
  },
  {
    when: 'a recipient of 19 bytes',
    raw: changed({ 5: bytes('11'.repeat(19)) }),
    code: 'RLP',
    text: /recipient/,
  },
  { when: 'a recipient that is a list', raw: changed({ 5: [] }), code: 'RLP', text: /recipient/ },
  {
    when: 'a value of 33 bytes',
    raw: changed({ 6: uintToRlp(1n << 256n) }),
    code: 'RLP',
    text: /value/,
  },
  { when: 'data that is a list', raw: changed({ 7: [] }), code: 'RLP', text: /data/ },
  {
    when: 'an access list that is bytes',
    raw: changed({ 8: bytes('01') }),
    code: 'RLP',
    text: /access/,
  },
  {
    when: 'a storage key of 31 bytes',
    raw: changed({ 8: [[bytes('11'.repeat(20)), [new Uint8Array(31)]]] }),
    code: 'RLP',
    text: /access/,
  },
  { when: 'no signature, typed', raw: changed({}, 3), code: 'INVALID_SIGNATURE', text: /missing/ },
  {
    when: 'no signature, legacy',
    raw: legacy(0n, 0n, 0n, 3),
    code: 'INVALID_SIGNATURE',
    text: /missing/,
  },
  {
    when: 'an EIP-155 form to be signed',
    raw: legacy(chainId, 0n, 0n),
    code: 'INVALID_SIGNATURE',
    text: /missing/,
  },
  {
    when: 'unprotected, v 27',
    raw: legacy(27n, 1n, 1n),
    code: 'UNPROTECTED',
    text: /^only replay-protected \(EIP-155\) transactions allowed over RPC$/,
  },
  { when: 'unprotected, v 28', raw: legacy(28n, 1n, 1n), code: 'UNPROTECTED', text: /replay/ },
  { when: 'v 29', raw: legacy(29n, 1n, 1n), code: 'INVALID_SIGNATURE', text: /: v/ },
  {
    when: 'v 35, chain 0',
    raw: legacy(35n, 1n, 1n),
    code: 'INVALID_CHAIN_ID',
    text: /^invalid chain id: have 0/,
  },
  { when: 'v of 2^64', raw: legacy(1n << 64n, 1n, 1n), code: 'INVALID_CHAIN_ID', text: /chain id/ },
  {
    when: 'another chain',
    raw: changed({ 0: uintToRlp(1n) }),
    code: 'INVALID_CHAIN_ID',
    text: /have 1 want 4242/,
  },
  {
    when: 'y parity 2',
    raw: changed({ 9: uintToRlp(2n) }),
    code: 'INVALID_SIGNATURE',
    text: /: v/,
  },
  { when: 'r 0', raw: changed({ 10: uintToRlp(0n) }), code: 'INVALID_SIGNATURE', text: /: r/ },
  {
    when: 'r the order',
    raw: changed({ 10: uintToRlp(CURVE_ORDER) }),
    code: 'INVALID_SIGNATURE',
    text: /: r/,
  },
  { when: 's 0', raw: changed({ 11: uintToRlp(0n) }), code: 'INVALID_SIGNATURE', text: /: s/ },
  {
    when: 's the order',
    raw: changed({ 11: uintToRlp(CURVE_ORDER) }),
    code: 'INVALID_SIGNATURE',
    text: /: s/,
  },
  {
    when: 'the malleated twin',
    raw: changed({ 9: uintToRlp(1 - signed.yParity), 11: uintToRlp(CURVE_ORDER - signed.s) }),
    code: 'HIGH_S',
    text: /^invalid signature: s$/,
  },
  {
    when: 'an r that is no point',
    raw: changed({ 10: uintToRlp(5n) }),
    code: 'INVALID_SIGNATURE',
    text: /recovery/,
  },
  {
    when: '1,026 access list entries',
    raw: changed({ 8: [[bytes('11'.repeat(20)), keys]] }),
    code: 'ACCESS_LIST_TOO_LONG',
    text: /1026/,
  },
  {
    when: 'nonce 2^64 - 1',
    raw: changed({ 1: uintToRlp((1n << 64n) - 1n) }),
    code: 'NONCE_MAX',
    text: /^nonce has max value$/,
  },
  {
    when: 'a tip above the cap',
    raw: changed({ 2: uintToRlp(21n) }),
    code: 'TIP_ABOVE_FEE_CAP',
    text: /^max priority fee per gas higher than max fee per gas/,
  },
  {
    when: 'gas * price over 2^256',
    raw: changed({ 3: uintToRlp(1n << 255n) }),
    code: 'FEE_CAP_EXCEEDED',
    text: /^fee cap exceeded/,
  },
];

test('refused, each with its code and text', () => {
  for (const { when, raw, code, text } of refusals) {
    const verdict = decodeTransaction(raw, options);
    assert.ok(!verdict.ok, when);
    assert.equal(verdict.refusal.code, code, when);
    assert.match(describeRefusal(verdict.refusal), text, when);
  }
});

test('the libraries accept what we refuse: why these checks are ours', () => {
  const unprotected = toHex(legacy(27n, 1n, 1n));
  assert.equal(parseTransaction(unprotected).type, 'legacy', 'viem takes an unprotected one');
});

type EthereumTest = {
  txbytes: string;
  result: Record<string, { exception?: string; hash?: string; sender?: string }>;
};
/** Not for the decoder: gas is checked against the ledger's rules (`test/ledger/gas.test.ts`). */
const gasExceptions = /INTRINSIC_GAS|INITCODE_SIZE/;

testWithVectors('TransactionTests of ethereum/tests', 'TransactionTests', () => {
  let seen = 0;
  for (const path of listVectors('TransactionTests')) {
    for (const [name, vector] of Object.entries(readVectors<Record<string, EthereumTest>>(path))) {
      const want = vector.result?.Prague ?? vector.result?.Cancun;
      if (want === undefined) continue;
      seen++;
      const verdict = decodeTransaction(bytes(vector.txbytes), { chainId: 1n });
      if (want.exception !== undefined && gasExceptions.test(want.exception)) continue;
      // Valid on Ethereum, not on a chain that asks for replay protection.
      if (!verdict.ok && verdict.refusal.code === 'UNPROTECTED') continue;
      assert.equal(verdict.ok, want.exception === undefined, `${name}: ${JSON.stringify(want)}`);
      if (!verdict.ok) continue;
      assert.equal(verdict.value.hash, want.hash, name);
      assert.equal(verdict.value.sender, want.sender, name);
    }
  }
  assert.ok(seen > 100, `${seen} vectors`);
});

type EthersTest = {
  name: string;
  privateKey: string;
  transaction: Record<string, unknown> & { chainId?: string | number };
  signedLegacy: string;
  signedEip155: string;
  signedBerlin: string;
  signedLondon: string;
};

testWithVectors('signed transactions of ethers', 'ethers', () => {
  for (const vector of readVectors<EthersTest[]>('ethers/transactions.json.gz')) {
    const id = BigInt(vector.transaction.chainId ?? 0);
    if (id === 0n) continue;
    const sender = privateKeyToAccount(toHex(bytes(vector.privateKey))).address.toLowerCase();
    for (const raw of [vector.signedEip155, vector.signedBerlin, vector.signedLondon]) {
      const verdict = decodeTransaction(bytes(raw), { chainId: id });
      if (!verdict.ok && verdict.refusal.code === 'TIP_ABOVE_FEE_CAP') continue;
      assert.ok(verdict.ok, `${vector.name}: ${verdict.ok ? '' : verdict.refusal.code}`);
      assert.equal(verdict.value.sender, sender, vector.name);
      assert.deepEqual(signTransaction(verdict.value, bytes(vector.privateKey)).raw, bytes(raw));
    }
    const unprotected = decodeTransaction(bytes(vector.signedLegacy), { chainId: id });
    assert.ok(!unprotected.ok && unprotected.refusal.code === 'UNPROTECTED', vector.name);
  }
  assert.equal(bytesToUint(bytes('01')), 1n);
});
