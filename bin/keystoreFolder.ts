/** A person's wallet files in one folder, `UTC--<time>--<address>` as geth names them. */
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
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import {
  describeKeystoreRefusal,
  keystoreBytesMax,
  keystoreId,
  openKey,
} from '#src/wallet/keystore.ts';
import { addressArgument } from './arguments.ts';
import { readPassword, readSecretFile } from './secrets.ts';

export const defaultKeystore = join(homedir(), '.mpbp', 'keystore');

export type WalletFile = { readonly address: Address; readonly path: string };
/** Which wallet, and what opens it. */
export type WalletChoice = {
  readonly keystore: string;
  readonly from: string | null;
  readonly passwordFile: string | null;
};

/** Only its owner can read it. */
export function writeWallet(dir: string, address: Address, text: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const time = new Date().toISOString().replace(/:/g, '-').replace('Z', '000000Z');
  const path = join(dir, `UTC--${time}--${address.slice(2)}`);
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  chmodSync(path, 0o600);
  return path;
}

export function refuseSecondWallet(dir: string, address: Address): void {
  if (!listWallets(dir).some((wallet) => wallet.address === address)) return;
  throw new UserError(EXIT.cannotCreate, `${formatAddress(address)} is in ${dir}`);
}

export function listWallets(dir: string): WalletFile[] {
  if (!existsSync(dir)) return [];
  const found: WalletFile[] = [];
  for (const name of readdirSync(dir).sort()) {
    if (!name.startsWith('UTC--')) continue;
    const path = join(dir, name);
    const text = readFileSync(path, 'utf8').slice(0, keystoreBytesMax + 1);
    const id = keystoreId(text, 'payment');
    if (id.ok && id.value !== null) found.push({ address: `0x${id.value}` as Address, path });
  }
  return found;
}

/** The wallet that is named; the only one where none is. */
export function chooseWallet(dir: string, from: string | null): WalletFile {
  const wallets = listWallets(dir);
  if (from !== null) {
    const address = addressArgument(from, '--from');
    const named = wallets.find((wallet) => wallet.address === address);
    if (named !== undefined) return named;
    throw new UserError(EXIT.usage, `no wallet of ${from} in ${dir}`);
  }
  const [only, second] = wallets;
  if (only === undefined) {
    throw new UserError(EXIT.usage, `no wallet in ${dir}; make one: mpbp wallet new`);
  }
  if (second !== undefined) {
    throw new UserError(EXIT.usage, 'several wallets here: say which with --from ADDRESS');
  }
  return only;
}

/**
 * The private key of a wallet in the folder. A private file `password` beside it opens it
 * unattended, as a devnet's wallets are opened.
 */
export async function unlock(
  choice: WalletChoice,
): Promise<{ address: Address; secret: Uint8Array; password: string }> {
  const { address, path } = chooseWallet(choice.keystore, choice.from);
  const text = readSecretFile(path);
  const prompt = `password of ${formatAddress(address)}`;
  const beside = join(choice.keystore, 'password');
  const file = choice.passwordFile ?? (existsSync(beside) ? beside : null);
  const password = await readPassword({ file, prompt });
  return { address, secret: await openWalletText(text, password), password };
}

/** The private key in a file's text. */
export async function openWalletText(text: string, password: string): Promise<Uint8Array> {
  const opened = await openKey(text, 'payment', password);
  if (!opened.ok) throw new UserError(EXIT.badData, describeKeystoreRefusal(opened.refusal));
  return opened.value.secret;
}
