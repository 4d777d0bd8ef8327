import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress, parseAddress } from '#src/types/address.ts';
import { asWei, formatAmount } from '#src/types/units.ts';
import {
  addressOfKey,
  describeKeystoreRefusal,
  keystoreBytesMax,
  keystoreId,
  openKey,
  sealKey,
} from '#src/wallet/keystore.ts';
import { mnemonicKey, newMnemonic, parseMnemonic } from '#src/wallet/mnemonic.ts';
import { Client } from '../client.ts';
import { makeOutput, table } from '../output.ts';
import { readPassword, readSecretFile } from '../secrets.ts';

export const defaultRpc = 'http://127.0.0.1:8545';
export const defaultKeystore = join(homedir(), '.mpbp', 'keystore');

export function walletCommand(): Command {
  const wallet = new Command('wallet').description("a person's keys: make, list, see the balance");
  wallet
    .command('new')
    .description('make an encrypted wallet file')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--password-file <file>', 'read the password from a private file')
    .option('--mnemonic-file <file>', 'restore from the twelve words in this private file')
    .option('--index <n>', 'which account of the words', '0')
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp wallet new --password-file ./password')
    .action(newWallet);
  wallet
    .command('list')
    .description('list the wallets in the folder')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp wallet list')
    .action((options: { keystore: string; json: boolean }) => {
      const found = listWallets(options.keystore);
      const text =
        found.length === 0
          ? `no wallets in ${options.keystore}; make one with: mpbp wallet new`
          : found.map(({ address }) => formatAddress(address)).join('\n');
      makeOutput(options.json).result(
        found.map(({ address, path }) => ({ address: formatAddress(address), path })),
        text,
      );
    });
  wallet
    .command('balance')
    .description('balances of addresses, or of all own wallets')
    .argument('[address...]', 'addresses')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp wallet balance 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266',
    )
    .action(balances);
  return wallet;
}

type NewOptions = {
  keystore: string;
  passwordFile?: string;
  mnemonicFile?: string;
  index: string;
  json: boolean;
};

async function newWallet(options: NewOptions): Promise<void> {
  if (!/^\d{1,9}$/.test(options.index)) {
    throw new UserError(EXIT.usage, `--index should be a whole number, not "${options.index}"`);
  }
  const restored = options.mnemonicFile !== undefined;
  const words = restored
    ? parseMnemonic(readSecretFile(options.mnemonicFile ?? ''))
    : newMnemonic();
  if (words === null) throw new UserError(EXIT.badData, 'these are not words of a wallet (BIP-39)');
  const file = options.passwordFile ?? null;
  const password = await readPassword({ file, prompt: 'new password', confirm: true });
  const secret = mnemonicKey(words, Number(options.index));
  const address = addressOfKey(secret);
  if (listWallets(options.keystore).some((wallet) => wallet.address === address)) {
    throw new UserError(EXIT.cannotCreate, `${formatAddress(address)} is in ${options.keystore}`);
  }
  const path = writeWallet(options.keystore, address, await sealKey('payment', secret, password));
  const lines = [formatAddress(address), `kept in ${path}`];
  if (!restored) {
    lines.push('', 'Write these words down; they are shown once and restore the wallet:', words);
  }
  const data = { address: formatAddress(address), path, ...(restored ? {} : { mnemonic: words }) };
  makeOutput(options.json).result(data, lines.join('\n'));
}

/** `UTC--<time>--<address>`, as geth names it; only its owner can read it. */
export function writeWallet(dir: string, address: Address, text: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const time = new Date().toISOString().replace(/:/g, '-').replace('Z', '000000Z');
  const path = join(dir, `UTC--${time}--${address.slice(2)}`);
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  chmodSync(path, 0o600);
  return path;
}

export function listWallets(dir: string): { address: Address; path: string }[] {
  if (!existsSync(dir)) return [];
  const found: { address: Address; path: string }[] = [];
  for (const name of readdirSync(dir).sort()) {
    if (!name.startsWith('UTC--')) continue;
    const path = join(dir, name);
    const text = readFileSync(path, 'utf8').slice(0, keystoreBytesMax + 1);
    const id = keystoreId(text, 'payment');
    if (id.ok && id.value !== null) found.push({ address: `0x${id.value}` as Address, path });
  }
  return found;
}

/**
 * The private key of a wallet in the folder; the only one where no address is given. A private file
 * `password` beside it opens it unattended, as a devnet's wallets are opened.
 */
export async function unlock(options: {
  keystore: string;
  from: string | null;
  passwordFile: string | null;
}): Promise<{ address: Address; secret: Uint8Array }> {
  const wallets = listWallets(options.keystore);
  let chosen = wallets[0];
  if (options.from !== null) {
    const from = addressArgument(options.from, '--from');
    chosen = wallets.find(({ address }) => address === from);
    if (chosen === undefined) {
      throw new UserError(EXIT.usage, `no wallet of ${options.from} in ${options.keystore}`);
    }
  } else if (wallets.length > 1) {
    throw new UserError(EXIT.usage, 'several wallets here: say which with --from ADDRESS');
  }
  if (chosen === undefined) {
    throw new UserError(EXIT.usage, `no wallet in ${options.keystore}; make one: mpbp wallet new`);
  }
  const text = readSecretFile(chosen.path);
  const prompt = `password of ${formatAddress(chosen.address)}`;
  const beside = join(options.keystore, 'password');
  const file = options.passwordFile ?? (existsSync(beside) ? beside : null);
  const password = await readPassword({ file, prompt });
  const opened = await openKey(text, 'payment', password);
  if (!opened.ok) throw new UserError(EXIT.badData, describeKeystoreRefusal(opened.refusal));
  return { address: chosen.address, secret: opened.value.secret };
}

export function addressArgument(text: string, what: string): Address {
  const parsed = parseAddress(text);
  if (parsed.ok) return parsed.value;
  const hint =
    parsed.refusal.code === 'ADDRESS_CHECKSUM'
      ? `its checksum is wrong; a letter may be mistyped (EIP-55)`
      : 'it should be 0x and 40 hexadecimal digits';
  throw new UserError(EXIT.usage, `${what}: "${text.slice(0, 80)}" is not an address: ${hint}`);
}

async function balances(
  addresses: string[],
  options: { keystore: string; rpc: string; json: boolean },
): Promise<void> {
  const client = new Client(options.rpc);
  const wanted =
    addresses.length > 0
      ? addresses.map((text) => addressArgument(text, 'address'))
      : listWallets(options.keystore).map(({ address }) => address);
  const rows: { address: string; wei: bigint }[] = [];
  for (const address of wanted) {
    const wei = BigInt(await client.call<string>('eth_getBalance', address, 'latest'));
    rows.push({ address: formatAddress(address), wei });
  }
  makeOutput(options.json).result(
    rows,
    table(rows.map(({ address, wei }) => [address, `${formatAmount(asWei(wei))} MPB`])),
  );
}
