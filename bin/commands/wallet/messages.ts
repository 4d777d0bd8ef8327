/** Signatures of messages and typed data: what a shop asks for to know who is there. */

import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { toHex, utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { messageDigest } from '#src/wallet/message.ts';
import { describeSignatureRefusal, signDigest, signerOfDigest } from '#src/wallet/signature.ts';
import { describeTypedDataRefusal, parseTypedData, type TypedData } from '#src/wallet/typedData.ts';
import { addressArgument } from '../../arguments.ts';
import { defaultKeystore, unlock } from '../../keystoreFolder.ts';
import { makeOutput, printable, table } from '../../output.ts';

type Signed = { message?: string; messageFile?: string; typedData?: string };
type SignOptions = Signed & {
  from?: string;
  keystore: string;
  passwordFile?: string;
  json: boolean;
};
type VerifyOptions = Signed & { signature: string; address?: string; json: boolean };

export function signCommand(): Command {
  return whatIsSigned(new Command('sign'))
    .description('sign a message (EIP-191) or typed data (EIP-712); never a payment')
    .option('--from <address>', 'which wallet, where there are several')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--password-file <file>', 'read the password from a private file')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp wallet sign --message "I am the buyer of invoice 7"\n' +
        '  $ mpbp wallet sign --typed-data order.json\n\n' +
        'Typed data can allow others to move money: read what is shown before you sign.',
    )
    .action(sign);
}

export function verifyCommand(): Command {
  return whatIsSigned(new Command('verify'))
    .description('whose signature of a message or of typed data this is; no node is asked')
    .requiredOption('--signature <hex>', '65 bytes, as wallets give them')
    .option('--address <address>', 'who should have signed')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp wallet verify --message "I am the buyer of invoice 7" \\\n' +
        '      --signature 0x… --address 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266\n\n' +
        'Exit code 0: signed by the address, or by the one that is printed. 65: not.',
    )
    .action(verify);
}

function whatIsSigned(command: Command): Command {
  return command
    .option('--message <text>', 'a message')
    .option('--message-file <file>', 'a message: the bytes of this file')
    .option('--typed-data <file>', 'JSON with types, primaryType, domain and message');
}

async function sign(options: SignOptions): Promise<void> {
  const { digest, typed } = read(options);
  if (typed !== null) process.stderr.write(`${describe(typed)}\n`);
  const { address, secret } = await unlock({
    keystore: options.keystore,
    from: options.from ?? null,
    passwordFile: options.passwordFile ?? null,
  });
  const signature = toHex(signDigest(digest, secret));
  const data = { address: formatAddress(address), digest: toHex(digest), signature };
  makeOutput(options.json).result(data, signature);
}

async function verify(options: VerifyOptions): Promise<void> {
  const wanted =
    options.address === undefined ? null : addressArgument(options.address, '--address');
  const { digest } = read(options);
  const signer = signerOfDigest(digest, options.signature);
  const valid = signer.ok && (wanted === null || signer.value === wanted);
  const address = signer.ok ? formatAddress(signer.value) : null;
  const text = signer.ok
    ? `${valid ? '' : 'NOT VALID: '}signed by ${address}`
    : `NOT VALID: ${describeSignatureRefusal(signer.refusal)}`;
  const code = signer.ok ? (valid ? null : 'SIGNATURE_OTHER') : signer.refusal.code;
  makeOutput(options.json).result({ valid, address, code }, text);
  if (!valid) process.exitCode = EXIT.badData;
}

/** The one thing that is named. */
function read(options: Signed): { digest: Uint8Array; typed: TypedData | null } {
  const { message, messageFile, typedData } = options;
  const given = [message, messageFile, typedData].filter((text) => text !== undefined);
  if (given.length !== 1) {
    throw new UserError(EXIT.usage, 'give one of --message, --message-file and --typed-data');
  }
  if (message !== undefined) return { digest: messageDigest(utf8(message)), typed: null };
  const bytes = readBytes(messageFile ?? typedData ?? '');
  if (messageFile !== undefined) return { digest: messageDigest(bytes), typed: null };
  const parsed = parseTypedData(bytes.toString('utf8'));
  if (!parsed.ok) {
    const { refusal } = parsed;
    const why = `${typedData}: ${describeTypedDataRefusal(refusal)} (${refusal.code})`;
    throw new UserError(EXIT.badData, why);
  }
  return { digest: parsed.value.digest, typed: parsed.value };
}

/** Not what the fields say, which is in the file, but whom the signature binds and to what. */
function describe({ domain, primaryType, encodedType, digest }: TypedData): string {
  return table([
    ...[...domain].map(([name, text]) => [name, printable(text)]),
    ['signs', primaryType],
    ['of type', printable(encodedType, 1_000)],
    ['digest', toHex(digest)],
  ]);
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    const { code } = cause as { code?: string };
    const why = code === 'ENOENT' ? 'no such file' : code;
    throw new UserError(EXIT.badData, `${path}: ${why}`, { cause });
  }
}
