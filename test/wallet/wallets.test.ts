import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decryptKeystoreJson, encryptKeystoreJson, HDNodeWallet, Mnemonic } from 'ethers';
import { fromHex, toBareHex, toHex } from '#src/lib/bytes.ts';
import { formatAddress } from '#src/types/address.ts';
import { addressOfKey, openKey, pbkdf2Cost, sealKey } from '#src/wallet/keystore.ts';
import { mnemonicKey, mnemonicSeed, newMnemonic, parseMnemonic } from '#src/wallet/mnemonic.ts';
import { readVectors, testWithVectors } from '../types/vectors.ts';

/** Files of others that stay closed, with the reason that they get. */
const exceptions: Readonly<Record<string, string>> = {
  // scrypt with n 2^18 and r 1 is outside RFC 7914; no library derives it.
  test2: 'KEYSTORE_COST',
  // Weaker than any wallet writes today: 1,024 rounds of scrypt, 10,240 of PBKDF2.
  wallet_random3: 'KEYSTORE_COST',
  wallet_parity_pbkdf2: 'KEYSTORE_COST',
  // Ethereum's pre-sale of 2014 had a format of its own.
  wallet_crowdsale_null: 'KEYSTORE_FIELD',
  wallet_crowdsale_passwd: 'KEYSTORE_FIELD',
};

type KeyStoreTests = Record<string, { json: unknown; password: string; priv: string }>;
type EthersWallet = { name: string; address: string; password: string; content: string };
type EthersMnemonic = { name: string; phrase: string; password: string; seed: string };
const textOf = (hex: string) => Buffer.from(hex.slice(2), 'hex').toString('utf8');

describe("others' key files", { concurrency: 2 }, () => {
  testWithVectors('of the standard: KeyStoreTests', 'KeyStoreTests', async () => {
    const vectors = readVectors<KeyStoreTests>('KeyStoreTests/basic_tests.json');
    for (const [name, { json, password, priv }] of Object.entries(vectors)) {
      const opened = await openKey(JSON.stringify(json), 'payment', password);
      const found = opened.ok ? toBareHex(opened.value.secret) : opened.refusal.code;
      assert.equal(found, exceptions[name] ?? priv, name);
    }
  });

  testWithVectors('of ethers', 'ethers', async () => {
    const vectors = readVectors<EthersWallet[]>('ethers/wallets.json.gz');
    for (const { name, address, password, content } of vectors) {
      const opened = await openKey(content, 'payment', textOf(password));
      const found = opened.ok
        ? formatAddress(addressOfKey(opened.value.secret))
        : opened.refusal.code;
      assert.equal(found, exceptions[name] ?? address, name);
    }
  });

  it('PBKDF2 both ways, and a password that is typed in two ways', async () => {
    const secret = new Uint8Array(32).fill(5);
    // One letter with its dots, and the letter followed by its dots.
    const [composed, decomposed] = ['\u00e4 key', 'a\u0308 key'];
    const ours = await sealKey('payment', secret, decomposed, pbkdf2Cost);
    assert.equal((await decryptKeystoreJson(ours, composed)).privateKey, toHex(secret));
    for (const password of [composed, decomposed]) {
      assert.ok((await openKey(ours, 'payment', password)).ok, JSON.stringify(password));
    }
    // geth takes the bytes as they were typed; bytes go through ethers unchanged.
    const account = { address: addressOfKey(secret), privateKey: toHex(secret) };
    const scrypt = { N: 4_096, r: 8, p: 6 };
    const geths = await encryptKeystoreJson(account, Buffer.from(decomposed), { scrypt });
    assert.ok((await openKey(geths, 'payment', decomposed)).ok, 'as geth writes it');
    assert.equal((await openKey(geths, 'payment', composed)).ok, false);
  });
});

describe('mnemonics', () => {
  testWithVectors('of ethers, in all languages, with passphrases', 'ethers', () => {
    const vectors = readVectors<EthersMnemonic[]>('ethers/mnemonics.json.gz');
    for (const { name, phrase, password, seed } of vectors) {
      const words = parseMnemonic(textOf(phrase));
      assert.ok(words !== null, name);
      assert.equal(toHex(mnemonicSeed(words, textOf(password))), seed, name);
    }
    assert.equal(vectors.length, 400);
  });

  it('give the accounts that ethers gives, with and without a passphrase', () => {
    for (const words of [newMnemonic(), newMnemonic(24)]) {
      for (const passphrase of ['', 'a 25th word']) {
        for (const index of [0, 1, 7]) {
          const path = `m/44'/60'/0'/0/${index}`;
          const mnemonic = Mnemonic.fromPhrase(words, passphrase);
          const there = HDNodeWallet.fromMnemonic(mnemonic, path);
          assert.equal(toHex(mnemonicKey(words, index, passphrase)), there.privateKey);
        }
      }
    }
  });

  it('refuse a wrong word, a wrong checksum and another number of words', () => {
    const words = 'test test test test test test test test test test test junk';
    const eleven = words.replace('test ', '');
    for (const wrong of [
      words.replace('junk', 'test'),
      words.replace('junk', 'jnuk'),
      eleven,
      '',
    ]) {
      assert.equal(parseMnemonic(wrong), null, wrong);
    }
    assert.equal(fromHex(toHex(mnemonicSeed(words)))?.length, 64);
  });
});
