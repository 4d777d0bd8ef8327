import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decryptKeystoreJson, encryptKeystoreJson, Wallet } from 'ethers';
import { generateSeed } from '#src/crypto/ed25519.ts';
import { fromHex, toBareHex, toHex } from '#src/lib/bytes.ts';
import { generatedPasswordCost, openKey, sealKey } from '#src/wallet/keystore.ts';
import { mnemonicKey, newMnemonic, parseMnemonic } from '#src/wallet/mnemonic.ts';

const secret = fromHex(`0x${'4c'.repeat(32)}`) ?? new Uint8Array(0);
const password = 'correct horse';
const sealed = await sealKey('payment', secret, password, generatedPasswordCost);
type Json = Record<string, unknown>;
const edited = (edit: (root: Json, crypto: Json, kdf: Json) => void) => {
  const root = JSON.parse(sealed) as Json;
  const crypto = root.crypto as Json;
  edit(root, crypto, crypto.kdfparams as Json);
  return JSON.stringify(root);
};
const flip = (hex: unknown) => `${hex}`.replace(/^./, (c) => (c === '0' ? '1' : '0'));

describe('keystore', () => {
  it('opens with its password, and in ethers', async () => {
    const opened = await openKey(sealed, 'payment', password);
    assert.ok(opened.ok);
    assert.deepEqual(opened.value.secret, secret);
    const there = await decryptKeystoreJson(sealed, password);
    assert.equal(there.privateKey, toHex(secret));
  });

  it('opens what ethers wrote', async () => {
    const wallet = Wallet.createRandom();
    const scrypt = { N: 4096, r: 8, p: 1 };
    const text = await encryptKeystoreJson(
      { address: wallet.address, privateKey: wallet.privateKey },
      password,
      { scrypt },
    );
    const opened = await openKey(text, 'payment', password);
    assert.ok(opened.ok);
    assert.equal(toHex(opened.value.secret), wallet.privateKey);
  });

  it('keeps the kinds of keys apart', async () => {
    const seed = generateSeed();
    const text = await sealKey('consensus', seed, password, generatedPasswordCost);
    const opened = await openKey(text, 'consensus', password);
    assert.ok(opened.ok);
    assert.equal(toBareHex(opened.value.secret), toBareHex(seed));
    for (const kind of ['network', 'payment'] as const) {
      assert.equal((await openKey(text, kind, password)).ok, false, kind);
    }
    assert.equal((await openKey(sealed, 'consensus', password)).ok, false);
  });

  const cases: { when: string; text: string; code: string; password?: string }[] = [
    { when: '112: not JSON', text: 'keystore', code: 'KEYSTORE_JSON' },
    { when: '112: an array', text: '[]', code: 'KEYSTORE_JSON' },
    { when: '112: too large', text: `{"x":"${'a'.repeat(70_000)}"}`, code: 'KEYSTORE_SIZE' },
    { when: '112: version 1', text: edited((r) => (r.version = 1)), code: 'KEYSTORE_FIELD' },
    { when: '112: version 4', text: edited((r) => (r.version = 4)), code: 'KEYSTORE_FIELD' },
    { when: '112: no crypto', text: edited((r) => delete r.crypto), code: 'KEYSTORE_FIELD' },
    { when: '112: no mac', text: edited((_, c) => delete c.mac), code: 'KEYSTORE_FIELD' },
    { when: '112: no salt', text: edited((_, _c, k) => delete k.salt), code: 'KEYSTORE_FIELD' },
    {
      when: '113: n = 2^24',
      text: edited((_, _c, k) => (k.n = 2 ** 24)),
      code: 'KEYSTORE_COST',
    },
    { when: '113: n = 3', text: edited((_, _c, k) => (k.n = 3)), code: 'KEYSTORE_COST' },
    {
      when: '113: p = 2^20',
      text: edited((_, _c, k) => (k.p = 2 ** 20)),
      code: 'KEYSTORE_COST',
    },
    { when: '113: r huge', text: edited((_, _c, k) => (k.r = 2 ** 30)), code: 'KEYSTORE_COST' },
    {
      when: '113: dklen',
      text: edited((_, _c, k) => (k.dklen = 2 ** 30)),
      code: 'KEYSTORE_COST',
    },
    {
      when: '113: pbkdf2 with one iteration',
      text: edited((_, c, k) => {
        c.kdf = 'pbkdf2';
        Object.assign(k, { c: 1, prf: 'hmac-sha256' });
      }),
      code: 'KEYSTORE_COST',
    },
    {
      when: '113: pbkdf2 with a thousand million iterations',
      text: edited((_, c, k) => {
        c.kdf = 'pbkdf2';
        Object.assign(k, { c: 1e9, prf: 'hmac-sha256' });
      }),
      code: 'KEYSTORE_COST',
    },
    { when: '114: wrong password', text: sealed, password: 'no', code: 'KEYSTORE_PASSWORD' },
    {
      when: '114: flipped MAC',
      text: edited((_, c) => (c.mac = flip(c.mac))),
      code: 'KEYSTORE_PASSWORD',
    },
    {
      when: '115: flipped IV',
      text: edited((_, c) => {
        const params = c.cipherparams as Json;
        params.iv = flip(params.iv);
      }),
      code: 'KEYSTORE_ADDRESS',
    },
    {
      when: '115: another cipher',
      text: edited((_, c) => (c.cipher = 'aes-128-cbc')),
      code: 'KEYSTORE_FIELD',
    },
    {
      when: '115: ciphertext of 31 bytes',
      text: edited((_, c) => (c.ciphertext = `${c.ciphertext}`.slice(2))),
      code: 'KEYSTORE_FIELD',
    },
    {
      when: '115: another address',
      text: edited((r) => (r.address = flip(r.address))),
      code: 'KEYSTORE_ADDRESS',
    },
  ];
  for (const { when, text, code, password: other } of cases) {
    it(`refuses ${when}`, async () => {
      const opened = await openKey(text, 'payment', other ?? password);
      assert.equal(opened.ok ? 'opened' : opened.refusal.code, code);
    });
  }
});

describe('mnemonic', () => {
  it('derives the accounts that every wallet derives', () => {
    const words = 'test test test test test test test test test test test junk';
    assert.equal(
      toHex(mnemonicKey(words, 0)),
      '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
    );
    assert.equal(parseMnemonic(`  ${words.toUpperCase()} `), words);
    assert.equal(parseMnemonic(words.replace('junk', 'test')), null);
    assert.ok(parseMnemonic(newMnemonic()) !== null);
  });
});
