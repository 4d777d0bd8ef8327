import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checksumAddress } from 'viem';
import { privateKeyToAddress } from 'viem/accounts';
import { keccak256 } from '#src/crypto/keccak.ts';
import { publicKey } from '#src/crypto/secp256k1.ts';
import { type Hex, toHex, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import {
  type Address,
  addressFromBytes,
  addressFromPublicKey,
  addressToBytes,
  formatAddress,
  isReservedAddress,
  parseAddress,
} from '#src/types/address.ts';
import { hashFromBytes, hashToBytes, parseHash } from '#src/types/hash.ts';
import {
  asEpoch,
  asGas,
  asHeight,
  asStake,
  asView,
  asWei,
  formatAmount,
  parseAmount,
} from '#src/types/units.ts';

const bytes20 = fc.uint8Array({ minLength: 20, maxLength: 20 });

test('keccak of nothing is the known constant', () => {
  const want = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470';
  assert.equal(toHex(keccak256(utf8(''))), want);
});

test('addresses: text and bytes go round, checksums as viem writes them', () => {
  fc.assert(
    fc.property(bytes20, (bytes) => {
      const address = addressFromBytes(bytes);
      assert.deepEqual(addressToBytes(address), bytes);
      const text = formatAddress(address);
      assert.equal(text, checksumAddress(address as Hex));
      for (const form of [text, address, `0x${address.slice(2).toUpperCase()}`]) {
        assert.deepEqual(parseAddress(form), { ok: true, value: address });
      }
    }),
  );
});

test('an address is the end of the hash of the public key', () => {
  const secret = uintToBytes(0x1234n, 32);
  const want = privateKeyToAddress(toHex(secret)).toLowerCase();
  assert.equal(addressFromPublicKey(publicKey(secret)), want);
});

const checksummed = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';

test('address texts that are refused', () => {
  const rows: { when: string; text: string; code: string }[] = [
    {
      when: 'one letter has the other case',
      text: checksummed.replace('aA', 'AA'),
      code: 'ADDRESS_CHECKSUM',
    },
    { when: 'the prefix is missing', text: checksummed.slice(2), code: 'ADDRESS_TEXT' },
    { when: 'the prefix is 0X', text: `0X${checksummed.slice(2)}`, code: 'ADDRESS_TEXT' },
    { when: 'it has 19 bytes', text: checksummed.slice(0, -2), code: 'ADDRESS_TEXT' },
    { when: 'a blank follows', text: `${checksummed} `, code: 'ADDRESS_TEXT' },
    { when: 'a newline follows', text: `${checksummed}\n`, code: 'ADDRESS_TEXT' },
    { when: 'a digit is not ASCII', text: `${checksummed.slice(0, -1)}٣`, code: 'ADDRESS_TEXT' },
  ];
  for (const { when, text, code } of rows) {
    const verdict = parseAddress(text);
    assert.ok(!verdict.ok, when);
    assert.equal(verdict.refusal.code, code, when);
  }
});

test('reserved addresses are the two prefixes and no others', () => {
  const rows: [string, boolean][] = [
    ['0x4d50420000000000000000000000000000000022', true],
    ['0x4d5042000000000000000000000000000000ffff', true],
    ['0x4d50420000000000000000000000000000010022', false],
    ['0x4d50422000000000000000004555520000000001', true],
    ['0x4d50422000000000000000014555520000000001', false],
    ['0x0000000000000000000000000000000000000001', false],
  ];
  for (const [text, want] of rows) assert.equal(isReservedAddress(text as Address), want, text);
});

test('hashes: text and bytes go round; other lengths are no hash', () => {
  const bytes = keccak256(utf8('x'));
  assert.deepEqual(hashToBytes(hashFromBytes(bytes)), bytes);
  assert.equal(parseHash(toHex(bytes).toUpperCase().replace('0X', '0x')), toHex(bytes));
  for (const text of [
    '0x',
    toHex(bytes).slice(2),
    `${toHex(bytes)}00`,
    `${toHex(bytes).slice(0, -1)}g`,
  ]) {
    assert.equal(parseHash(text), null, text);
  }
});

test('an amount goes from text to wei and back', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }), (value) => {
      assert.deepEqual(parseAmount(formatAmount(asWei(value))), { ok: true, value });
    }),
  );
  assert.deepEqual(parseAmount('1.5'), { ok: true, value: 1_500_000_000_000_000_000n });
  assert.equal(formatAmount(asWei(1n)), '0.000000000000000001');
});

test('amount texts that are refused', () => {
  const texts = ['', '1e18', '0x10', '1,5', '-1', '+1', ' 1', '1 ', '1.', '.5', '01', '00', '٣'];
  texts.push('1.0000000000000000001', '1_000', 'NaN', '1\n', '1'.repeat(1000), '１');
  for (const text of texts) {
    const verdict = parseAmount(text);
    assert.ok(!verdict.ok && verdict.refusal.code === 'AMOUNT_TEXT', JSON.stringify(text));
  }
  const tooLarge = parseAmount('9'.repeat(70));
  assert.ok(!tooLarge.ok && tooLarge.refusal.code === 'AMOUNT_RANGE');
});

test('an impossible unit is our own bug', () => {
  const mints: [string, () => unknown][] = [
    ['negative wei', () => asWei(-1n)],
    ['wei of 2^256', () => asWei(1n << 256n)],
    ['gas of 2^64', () => asGas(1n << 64n)],
    ['a negative height', () => asHeight(-1n)],
    ['an epoch of 1.5', () => asEpoch(1.5)],
    ['a view of 2^53', () => asView(2 ** 53)],
    ['no stake', () => asStake(0n)],
    ['a stake of 2^63', () => asStake(1n << 63n)],
  ];
  for (const [when, mint] of mints) assert.throws(mint, { name: 'InvariantError' }, when);
});
