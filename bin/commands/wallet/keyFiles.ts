/** Keys into the folder and out of it: new ones, others' files, bare keys. */
import { Command, Option } from 'commander';
import { isPrivateKey } from '#src/crypto/secp256k1.ts';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import {
  addressOfKey,
  type Cost,
  passwordCost,
  pbkdf2Cost,
  sealKey,
} from '#src/wallet/keystore.ts';
import { mnemonicKey, newMnemonic, parseMnemonic } from '#src/wallet/mnemonic.ts';
import { AuditLog } from '#storage/auditLog.ts';
import { wholeNumber } from '../../arguments.ts';
import {
  defaultKeystore,
  openWalletText,
  refuseSecondWallet,
  unlock,
  writeWallet,
} from '../../keystoreFolder.ts';
import { writePrivate } from '../../nodeKeys.ts';
import { makeOutput } from '../../output.ts';
import { readPassword, readSecretFile } from '../../secrets.ts';

const accountsMax = 100;
const costs: Readonly<Record<string, Cost>> = { scrypt: passwordCost, pbkdf2: pbkdf2Cost };

// --- new -----------------------------------------------------------------------------------------

type NewOptions = {
  keystore: string;
  passwordFile?: string;
  mnemonicFile?: string;
  passphraseFile?: string;
  words?: string;
  index: number;
  accounts: number;
  json: boolean;
};

export function newCommand(): Command {
  return new Command('new')
    .description('make encrypted wallet files from new words, or from words that you have')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--password-file <file>', 'read the password from a private file')
    .option('--mnemonic-file <file>', 'restore from the words in this private file (BIP-39)')
    .option('--passphrase-file <file>', 'the passphrase that belongs to the words, if any')
    .addOption(new Option('--words <n>', 'how many new words').choices(['12', '24']))
    .option('--index <n>', 'the first account of the words', wholeNumber(0, 999_999_999), 0)
    .option('--accounts <n>', 'how many accounts of the words', wholeNumber(1, accountsMax), 1)
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp wallet new --password-file ./password\n' +
        '  $ mpbp wallet new --mnemonic-file ./words --accounts 3\n\n' +
        "Accounts are at m/44'/60'/0'/0/n, where all wallets look for them.",
    )
    .action(newWallets);
}

async function newWallets(options: NewOptions): Promise<void> {
  const { keystore, mnemonicFile, passphraseFile } = options;
  const restored = mnemonicFile !== undefined;
  if (restored && options.words !== undefined) {
    throw new UserError(EXIT.usage, '--words is for new words, not for those of --mnemonic-file');
  }
  const words = restored
    ? parseMnemonic(readSecretFile(mnemonicFile))
    : newMnemonic(options.words === '24' ? 24 : 12);
  if (words === null) throw new UserError(EXIT.badData, 'these are not words of a wallet (BIP-39)');
  const passphrase = passphraseFile === undefined ? '' : withoutEnd(readSecretFile(passphraseFile));
  const password = await newPassword(options.passwordFile);
  const indexes = Array.from({ length: options.accounts }, (_, at) => options.index + at);
  const secrets = indexes.map((index) => mnemonicKey(words, index, passphrase));
  for (const secret of secrets) refuseSecondWallet(keystore, addressOfKey(secret));
  const made: { address: string; path: string }[] = [];
  for (const secret of secrets) {
    const address = addressOfKey(secret);
    const path = writeWallet(keystore, address, await sealKey('payment', secret, password));
    made.push({ address: formatAddress(address), path });
  }
  const lines = made.flatMap(({ address, path }) => [address, `kept in ${path}`]);
  if (!restored) {
    lines.push('', 'Write these words down; they are shown once and restore the wallet:', words);
  }
  const rest = restored ? {} : { mnemonic: words };
  makeOutput(options.json).result({ ...made[0], accounts: made, ...rest }, lines.join('\n'));
}

// --- import --------------------------------------------------------------------------------------

type ImportOptions = {
  keystore: string;
  filePasswordFile?: string;
  passwordFile?: string;
  json: boolean;
};

export function importCommand(): Command {
  return new Command('import')
    .description("take a key from another wallet's file, or from a file with a bare private key")
    .argument('<file>', 'a keystore file (version 3), or a private file of 64 hexadecimal digits')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--file-password-file <file>', 'password of the keystore file; default: the same')
    .option('--password-file <file>', 'password of the wallet here; read from a private file')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp wallet import ~/.ethereum/keystore/UTC--2024-…--f39f…\n' +
        '  $ mpbp wallet import ./private-key\n\n' +
        'Words are taken with: mpbp wallet new --mnemonic-file FILE',
    )
    .action(importWallet);
}

async function importWallet(file: string, options: ImportOptions): Promise<void> {
  const text = readSecretFile(file);
  const isKeystore = text.trimStart().startsWith('{');
  const filePassword = options.filePasswordFile ?? options.passwordFile ?? null;
  const asked = { file: filePassword, prompt: `password of ${file}` };
  const given = isKeystore ? await readPassword(asked) : null;
  const secret = given === null ? bareKey(text, file) : await openWalletText(text, given);
  const address = addressOfKey(secret);
  refuseSecondWallet(options.keystore, address);
  const keepsPassword = given !== null && options.passwordFile === undefined;
  const password = keepsPassword ? given : await newPassword(options.passwordFile);
  const path = writeWallet(options.keystore, address, await sealKey('payment', secret, password));
  const shown = formatAddress(address);
  await new AuditLog(options.keystore).append('wallet import', { address: shown, file });
  makeOutput(options.json).result({ address: shown, path }, `${shown}\nkept in ${path}`);
}

function bareKey(text: string, file: string): Uint8Array {
  const digits = text.trim();
  const secret = fromHex(digits.startsWith('0x') ? digits : `0x${digits}`);
  if (secret?.length === 32 && isPrivateKey(secret)) return secret;
  throw new UserError(EXIT.badData, `${file}: neither a keystore file nor a private key`);
}

// --- export --------------------------------------------------------------------------------------

type ExportOptions = {
  keystore: string;
  from?: string;
  out: string;
  kdf: string;
  bare: boolean;
  passwordFile?: string;
  newPasswordFile?: string;
  json: boolean;
};

export function exportCommand(): Command {
  return new Command('export')
    .description('write a key file for geth, ethers, MetaMask and others')
    .requiredOption('--out <file>', 'the new file; only its owner can read it')
    .option('--from <address>', 'which wallet, where there are several')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--password-file <file>', 'password of the wallet; read from a private file')
    .option('--new-password-file <file>', 'password of the new file; default: the same')
    .addOption(
      new Option('--kdf <name>', 'how the password becomes a key')
        .choices(Object.keys(costs))
        .default('scrypt'),
    )
    .option('--bare', 'the bare private key, which opens without a password', false)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp wallet export --out ./for-geth.json')
    .action(exportWallet);
}

async function exportWallet(options: ExportOptions): Promise<void> {
  const { keystore, out, newPasswordFile } = options;
  const from = options.from ?? null;
  const { address, secret, password } = await unlock({
    keystore,
    from,
    passwordFile: options.passwordFile ?? null,
  });
  const renewed = newPasswordFile === undefined ? password : await newPassword(newPasswordFile);
  const text = options.bare
    ? `${toHex(secret)}\n`
    : await sealKey('payment', secret, renewed, costs[options.kdf]);
  const shown = formatAddress(address);
  const form = options.bare ? 'private key' : options.kdf;
  // Written down first: a key that left without a record would be the worse failure.
  await new AuditLog(keystore).append('wallet export', { address: shown, file: out, form });
  try {
    writePrivate(out, text);
  } catch (cause) {
    const { code } = cause as { code?: string };
    const why = code === 'EEXIST' ? 'is there already; kept as it is' : `${code}`;
    throw new UserError(EXIT.cannotCreate, `${out}: ${why}`, { cause });
  }
  makeOutput(options.json).result({ address: shown, path: out }, `${shown}\nwritten to ${out}`);
}

async function newPassword(file: string | undefined): Promise<string> {
  return readPassword({ file: file ?? null, prompt: 'new password', confirm: true });
}

function withoutEnd(text: string): string {
  return text.replace(/\r?\n$/, '');
}
