import { HDKey } from '@scure/bip32';
import { generateMnemonic, mnemonicToSeedSync, validateMnemonic } from '@scure/bip39';
import { wordlist } from '@scure/bip39/wordlists/english.js';
import { assert } from '#src/lib/failure.ts';

/** Twelve words (BIP-39, 128 bits). */
export function newMnemonic(): string {
  return generateMnemonic(wordlist, 128);
}

/** Lower case, single spaces; null where a word or the checksum is wrong. */
export function parseMnemonic(text: string): string | null {
  const words = text.trim().toLowerCase().split(/\s+/).join(' ');
  return validateMnemonic(words, wordlist) ? words : null;
}

/** The private key of account `index` on Ethereum's path, `m/44'/60'/0'/0/index` (BIP-44). */
export function mnemonicKey(mnemonic: string, index: number): Uint8Array {
  const root = HDKey.fromMasterSeed(mnemonicToSeedSync(mnemonic));
  const { privateKey } = root.derive(`m/44'/60'/0'/0/${index}`);
  assert(privateKey !== null, 'a derived account has a private key');
  return privateKey;
}
