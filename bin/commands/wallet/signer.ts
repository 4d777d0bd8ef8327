import { join } from 'node:path';
import { Command } from 'commander';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { formatAmount } from '#src/types/units.ts';
import { localPaymentSigner } from '#src/wallet/paymentSigner.ts';
import { AuditLog } from '#storage/auditLog.ts';
import { amountArgument, wholeNumber } from '../../arguments.ts';
import { defaultKeystore, unlock } from '../../keystoreFolder.ts';
import { makeLog } from '../../logger.ts';
import { makeOutput } from '../../output.ts';
import { PaymentSignerServer, type SignerDoor } from '../../paymentSignerServer.ts';
import { readSecretFile } from '../../secrets.ts';

type Options = {
  chainId: number;
  amountMax: string;
  feeMax: string;
  allowCalls: boolean;
  from?: string;
  keystore: string;
  passwordFile?: string;
  socket?: string;
  port?: number;
  tokenFile?: string;
  json: boolean;
};

/** As many characters as 128 bits take in base64. */
const tokenCharsMin = 22;

export function walletSignerCommand(): Command {
  return new Command('signer')
    .description('hold a wallet in a process of its own, which signs payments for others')
    .requiredOption('--chain-id <n>', 'the one network', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .requiredOption('--amount-max <amount>', 'the most that it signs at once, in MPB')
    .option('--fee-max <amount>', 'the highest fee that it signs, in MPB', '0.1')
    .option('--allow-calls', 'sign calls of contracts too, whose data moves what it likes', false)
    .option('--from <address>', 'which wallet, where there are several')
    .option('--keystore <dir>', 'folder of wallet files', defaultKeystore)
    .option('--password-file <file>', 'read the password from a private file')
    .option('--socket <path>', 'unix socket to listen on; default: signer.sock in the folder')
    .option('--port <n>', 'a port of 127.0.0.1 instead, with a token', wholeNumber(1, 65_535))
    .option('--token-file <file>', 'what callers of the port have to know, in a private file')
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp wallet signer --chain-id 6727 --amount-max 100\n' +
        '  $ mpbp pay 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 12.50 \\\n' +
        '      --signer ~/.mpbp/keystore/signer.sock\n\n' +
        'Each use is in audit.log beside the wallet: mpbp audit log DIR',
    )
    .action(serve);
}

async function serve(options: Options): Promise<void> {
  const { keystore, chainId, allowCalls } = options;
  const rules = {
    chainId: BigInt(chainId),
    amountMax: amountArgument(options.amountMax, '--amount-max'),
    feeMax: amountArgument(options.feeMax, '--fee-max'),
    allowsCalls: allowCalls,
  };
  const door = doorOf(options);
  const { secret } = await unlock({
    keystore,
    from: options.from ?? null,
    passwordFile: options.passwordFile ?? null,
  });
  const signer = localPaymentSigner(secret);
  const log = makeLog({ 'log.level': 'info', 'log.format': 'auto' }).child('signer');
  const audit = new AuditLog(keystore);
  const server = await PaymentSignerServer.open(door, [signer], rules, audit, log);
  const where = door.kind === 'socket' ? door.path : `http://127.0.0.1:${door.port}`;
  const address = formatAddress(signer.address);
  const limits = { amountMax: formatAmount(rules.amountMax), feeMax: formatAmount(rules.feeMax) };
  const facts = { signer: where, address, chainId, ...limits, allowCalls };
  await audit.append('signer start', facts);
  const what = `payments of ${address} on chain ${chainId}, up to ${limits.amountMax} MPB`;
  const text = `signing ${what}, at ${where}`;
  makeOutput(options.json).result(facts, text);
  const stop = async () => {
    await server.close();
    await audit.append('signer stop').catch((error: unknown) => {
      log.error('this stop is not in audit.log', { reason: String(error) });
    });
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
}

function doorOf({ socket, port, tokenFile, keystore }: Options): SignerDoor {
  if (port === undefined) {
    if (tokenFile !== undefined) throw new UserError(EXIT.usage, '--token-file goes with --port');
    return { kind: 'socket', path: socket ?? join(keystore, 'signer.sock') };
  }
  if (socket !== undefined) throw new UserError(EXIT.usage, 'give --socket or --port, not both');
  if (tokenFile === undefined) {
    throw new UserError(EXIT.usage, '--port needs --token-file: every program here can reach it');
  }
  const token = readSecretFile(tokenFile).trim();
  if (token.length < tokenCharsMin || /\s/.test(token)) {
    const how = `make one with: (umask 077; openssl rand -hex 32 > ${tokenFile})`;
    throw new UserError(
      EXIT.usage,
      `${tokenFile}: no token of ${tokenCharsMin} characters; ${how}`,
    );
  }
  return { kind: 'port', port, token };
}
