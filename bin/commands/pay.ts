import { Command } from 'commander';
import { utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, formatAddress } from '#src/types/address.ts';
import { asWei, formatAmount, type Wei } from '#src/types/units.ts';
import {
  describeLinkRefusal,
  isPaymentLink,
  linkMemoBytesMax,
  parsePaymentLink,
} from '#src/wallet/paymentLink.ts';
import { addressArgument, amountArgument } from '../arguments.ts';
import { Client, defaultRpc, NodeRefusal } from '../client.ts';
import { makeOutput, printable } from '../output.ts';
import { openPaymentSigner, type SignerOptions, signerOptions } from '../paymentSigner.ts';
import { confirm } from '../secrets.ts';
import { prepare, type Receipt, send } from './transact.ts';

type PayOptions = SignerOptions & {
  memo?: string;
  feeMax: string;
  rpc: string;
  yes: boolean;
  json: boolean;
};

/** What a person wants, from words or from a link. */
type Wish = {
  readonly to: Address;
  readonly value: Wei;
  readonly memo: string;
  readonly isLink: boolean;
};

export function payCommand(): Command {
  return signerOptions(new Command('pay'))
    .description('pay from a wallet and wait until it is final')
    .argument('<to>', 'address of the payee, or a payment link (EIP-681)')
    .argument('[amount]', 'MPB, such as 12.50; a link may name it')
    .option('--memo <text>', 'a note that travels with the payment, for everyone to read')
    .option('--fee-max <amount>', 'pay no higher fee than this, in MPB', '0.1')
    .option('--yes', 'do not ask before paying', false)
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText(
      'after',
      "\nExample:\n  $ mpbp pay 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 12.50 --memo 'no 7'\n" +
        "  $ mpbp pay 'ethereum:0x70997970C51812dc3A010C7d01b50e0d17dc79C8@6727?value=125e17'\n\n" +
        'On a terminal it asks first; elsewhere a link needs --yes. Exit codes: 64 what you ask\n' +
        'for cannot be; 65 refused, nothing moved; 69 no answer: look before you pay again.',
    )
    .action(pay);
}

async function pay(
  toText: string,
  amountText: string | undefined,
  options: PayOptions,
): Promise<void> {
  const client = new Client(options.rpc);
  const wish = isPaymentLink(toText)
    ? await fromLink(toText, amountText, options, client)
    : fromWords(toText, amountText, options);
  const feeMax = amountArgument(options.feeMax, '--fee-max');
  checkMemo(wish.memo);
  if (wish.isLink && !options.yes && !process.stdin.isTTY) {
    const shown = `${formatAmount(wish.value)} MPB to ${formatAddress(wish.to)}`;
    throw new UserError(EXIT.usage, `the link asks for ${shown}: to pay it give --yes`);
  }
  const signer = await openPaymentSigner(options);
  const { to, value, memo } = wish;
  const { receipt, finalMs } = await coded(async () => {
    const balance = BigInt(await client.call<string>('eth_getBalance', signer.address, 'latest'));
    checkFunds(balance, value);
    const fields = await prepare(client, signer.address, { to, value, data: utf8(memo) });
    const fee = asWei(fields.gasLimit * fields.maxFeePerGas);
    if (fee > feeMax) {
      const high = `the fee would be up to ${formatAmount(fee)} MPB`;
      throw new UserError(EXIT.badData, `${high}; allow it with --fee-max [FEE_ABOVE_MAX]`);
    }
    checkFunds(balance, value + fee);
    await ask(wish, signer.address, fee, options);
    return send(client, signer, fields);
  });
  report(wish, receipt, finalMs, options.json);
}

// --- what is wanted ------------------------------------------------------------------------------

function fromWords(to: string, amount: string | undefined, { memo }: PayOptions): Wish {
  const payee = addressArgument(to, 'to');
  if (amount === undefined)
    throw new UserError(EXIT.usage, "missing required argument 'amount', such as 12.50");
  return { to: payee, value: amountArgument(amount, 'amount'), memo: memo ?? '', isLink: false };
}

/** What the link leaves open comes from the command line, and nothing of it is overruled there. */
async function fromLink(
  text: string,
  amountText: string | undefined,
  options: PayOptions,
  client: Client,
): Promise<Wish> {
  const parsed = parsePaymentLink(text);
  if (!parsed.ok) {
    const { refusal } = parsed;
    throw new UserError(EXIT.badData, `${describeLinkRefusal(refusal)} [${refusal.code}]`);
  }
  const link = parsed.value;
  const amount = amountText === undefined ? null : amountArgument(amountText, 'amount');
  const value = link.value ?? amount;
  if (value === null) throw new UserError(EXIT.usage, 'the link names no amount: say it behind it');
  if (amount !== null && amount !== value) {
    throw new UserError(EXIT.usage, `the link asks for ${formatAmount(value)} MPB`);
  }
  if (options.memo !== undefined && link.memo !== '' && options.memo !== link.memo) {
    throw new UserError(EXIT.usage, `the link has a memo: "${printable(link.memo)}"`);
  }
  const chainId = BigInt(await client.call<string>('eth_chainId'));
  if (link.chainId !== null && link.chainId !== chainId) {
    const where = `chain ${link.chainId}, and ${client.url} is of chain ${chainId}`;
    throw new UserError(EXIT.badData, `the link is for ${where} [LINK_CHAIN]`);
  }
  const memo = link.memo === '' ? (options.memo ?? '') : link.memo;
  return { to: link.to, value, memo, isLink: true };
}

function checkMemo(memo: string): void {
  const bytes = utf8(memo).length;
  if (bytes <= linkMemoBytesMax && !/\p{Cc}/u.test(memo)) return;
  const limit = `one line of at most ${linkMemoBytesMax} bytes`;
  throw new UserError(EXIT.usage, `--memo: ${limit}, not ${bytes} bytes [MEMO]`);
}

function checkFunds(balance: bigint, need: bigint): void {
  if (balance >= need) return;
  const [has, wants] = [balance, need].map((wei) => `${formatAmount(asWei(wei))} MPB`);
  const why = `the wallet has ${has}; the payment and its fee need ${wants}`;
  throw new UserError(EXIT.badData, `${why} [INSUFFICIENT_FUNDS]`);
}

// --- talking -------------------------------------------------------------------------------------

async function ask(wish: Wish, from: Address, fee: Wei, options: PayOptions): Promise<void> {
  const lines = [
    `pay   ${formatAmount(wish.value)} MPB`,
    `to    ${formatAddress(wish.to)}`,
    `from  ${formatAddress(from)}`,
    ...(wish.memo === '' ? [] : [`memo  ${printable(wish.memo)}`]),
    `fee   at most ${formatAmount(fee)} MPB`,
  ];
  process.stderr.write(`${lines.join('\n')}\n`);
  if (options.yes || !process.stdin.isTTY) return;
  if (!(await confirm('pay this?'))) throw new UserError(EXIT.usage, 'not paid');
}

/** The node's refusals with their code: nothing has moved. */
async function coded<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof NodeRefusal)) throw error;
    const { code } = (error.data ?? {}) as { code?: unknown };
    const shown = typeof code === 'string' ? code : `${error.rpcCode}`;
    throw new UserError(EXIT.badData, `${error.message} [${shown}]`, { cause: error });
  }
}

function report({ to, value, memo }: Wish, receipt: Receipt, finalMs: number, json: boolean): void {
  const fee = BigInt(receipt.gasUsed) * BigInt(receipt.effectiveGasPrice);
  if (receipt.status !== '0x1') {
    const cost = `it cost ${formatAmount(asWei(fee))} MPB`;
    const what = `${receipt.transactionHash} failed: the payee's contract took no payment`;
    throw new UserError(EXIT.badData, `${what}; nothing was paid, and ${cost} [REVERTED]`);
  }
  const text = [
    `paid ${formatAmount(value)} MPB to ${formatAddress(to)}`,
    `final in ${finalMs} ms, block ${BigInt(receipt.blockNumber)}, ` +
      `fee ${formatAmount(asWei(fee))} MPB`,
    receipt.transactionHash,
  ];
  const amounts = { amount: `0x${value.toString(16)}`, fee: `0x${fee.toString(16)}`, memo };
  makeOutput(json).result({ ...receipt, ...amounts, finalMs }, text.join('\n'));
}
