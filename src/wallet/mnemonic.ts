import { HDKey } from '@scure/bip32';
import { generateMnemonic, mnemonicToSeedSync, validateMnemonic } from '@scure/bip39';
import { wordlist as czech } from '@scure/bip39/wordlists/czech.js';
import { wordlist as english } from '@scure/bip39/wordlists/english.js';
import { wordlist as french } from '@scure/bip39/wordlists/french.js';
import { wordlist as italian } from '@scure/bip39/wordlists/italian.js';
import { wordlist as japanese } from '@scure/bip39/wordlists/japanese.js';
import { wordlist as korean } from '@scure/bip39/wordlists/korean.js';
import { wordlist as portuguese } from '@scure/bip39/wordlists/portuguese.js';
import { wordlist as simplifiedChinese } from '@scure/bip39/wordlists/simplified-chinese.js';
import { wordlist as spanish } from '@scure/bip39/wordlists/spanish.js';
import { wordlist as traditionalChinese } from '@scure/bip39/wordlists/traditional-chinese.js';
import { assert } from '#src/lib/failure.ts';

/** Ours are English, which every wallet takes; others' may be in any language of BIP-39. */
const wordlists = [
  ...[english, czech, french, italian, japanese, korean, portuguese, spanish],
  ...[simplifiedChinese, traditionalChinese],
];

/** English words (BIP-39): 12 carry 128 bits, 24 carry 256. */
export function newMnemonic(words: 12 | 24 = 12): string {
  return generateMnemonic(english, words === 12 ? 128 : 256);
}

/** Lower case, single spaces, NFKD; null where a word or the checksum is wrong. */
export function parseMnemonic(text: string): string | null {
  const words = text.normalize('NFKD').trim().toLowerCase().split(/\s+/).join(' ');
  return wordlists.some((list) => validateMnemonic(words, list)) ? words : null;
}

/** 64 bytes (BIP-39); the passphrase is the "25th word", empty where there is none. */
export function mnemonicSeed(mnemonic: string, passphrase = ''): Uint8Array {
  return mnemonicToSeedSync(mnemonic, passphrase);
}

/**
 * The private key of account `index` on Ethereum's path, `m/44'/60'/0'/0/index` (BIP-44). Any
 * passphrase gives keys: a mistyped one gives others.
 */
export function mnemonicKey(mnemonic: string, index: number, passphrase = ''): Uint8Array {
  const root = HDKey.fromMasterSeed(mnemonicSeed(mnemonic, passphrase));
  const { privateKey } = root.derive(`m/44'/60'/0'/0/${index}`);
  assert(privateKey !== null, 'a derived account has a private key');
  return privateKey;
}
