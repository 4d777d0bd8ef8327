/** `mpbp order create`: what a merchant asks for, and whether it was paid. */
import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { renderUnicodeCompact } from 'uqr';
import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { bytesToUint, fromHex, utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Hash, hashFromBytes, keccakHash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { addressArgument } from '../../arguments.ts';
import { printable } from '../../output.ts';
import { findCurrency } from '../currency/tokens.ts';
import { type Session, type SessionOptions, signing } from '../membership/session.ts';
import { linkOf, nowOf, type Order, railOf, readOrder } from './orderFacts.ts';
import { type Field, signDocument } from './signing.ts';
import { idOf, money, openSales, saleAmount, secondsArgument, textOf } from './words.ts';

const TERMS: readonly Field[] = [
  ['bytes32', 'merchantId'],
  ['bytes32', 'orderRef'],
  ['address', 'token'],
  ['uint256', 'amount'],
  ['address', 'payer'],
  ['bytes32', 'channelId'],
  ['uint8', 'captureMode'],
  ['uint48', 'payBy'],
  ['uint48', 'captureBy'],
  ['uint48', 'refundBy'],
  ['uint16', 'maxFeeBps'],
  ['bytes32', 'metadataHash'],
  ['uint256', 'salt'],
];
const lookMs = 500;

type CreateOptions = SessionOptions & {
  merchant: string;
  amount: string;
  token: string;
  ref?: string;
  payer?: string;
  channel?: string;
  captureLater: boolean;
  payWithin: string;
  captureWithin: string;
  refundWithin: string;
  maxFee: string;
  note?: string;
  wait: boolean;
  qr: boolean;
};

export function createCommand(): Command {
  return signing(new Command('create'))
    .description('ask for a payment: prints a link and a QR code for whoever is to pay')
    .requiredOption('--merchant <id>', 'who sells')
    .requiredOption('--amount <amount>', 'such as 12.50')
    .requiredOption('--token <token>', 'such as EUR, or its address')
    .option('--ref <text>', 'your number of it, once each; made up if left out')
    .option('--payer <address>', 'only this account may pay')
    .option('--channel <id>', 'a rail that the money comes over; else tokens of the ledger')
    .option('--capture-later', 'hold the money at the payer until you capture it', false)
    .option('--pay-within <time>', 'like 90s, 15m, 2h or 30d', '1h')
    .option('--capture-within <time>', 'from now', '7d')
    .option('--refund-within <time>', 'from now', '180d')
    .option('--max-fee <percent>', 'fees may take at most this', '5')
    .option('--note <text>', 'what is sold; only its hash is told')
    .option('--wait', 'stay until it is paid, or cannot be any more', false)
    .option('--no-qr', 'the link alone')
    .addHelpText(
      'after',
      '\nExample:\n  $ mpbp order create --merchant shop --amount 12.50 --token EUR --wait\n\n' +
        'Paid with: mpbp order pay LINK. With --wait the exit code is 0 once it is paid, and 65\n' +
        'where it was cancelled or its time is over.\n\n' +
        'With --channel your acquirer routes it (mpbp order route), and the payer agrees with:\n' +
        'mpbp order consent ID',
    )
    .action(create);
}

async function create(options: CreateOptions): Promise<void> {
  const session = await openSales(options);
  const { client, report } = session;
  const { address: token } = await findCurrency(client, options.token);
  const terms = termsOf(await nowOf(client), token, options);
  const chainId = Number(BigInt(await client.call<string>('eth_chainId')));
  const domain = { name: 'MPBP PaymentOrders', chainId, verifyingContract: PAYMENT_ORDERS };
  const message = Object.fromEntries(
    Object.entries(terms).map(([key, value]) => [key, String(value)]),
  );
  const document = { domain, primaryType: 'OrderTerms', fields: TERMS, message };
  const { digest, signature } = await signDocument(document, options);
  const id = hashFromBytes(digest);
  await session.send(paymentOrders, 'createOrder', [terms, fromHex(signature)]);
  const ref = textOf(terms.orderRef);
  const data = { orderId: id, orderRef: ref };
  report.say(`order ${printable(ref)}: ${money(terms.amount, token)}`, data);
  const isOnRail = terms.channelId !== TOKEN_CHANNEL && terms.channelId !== ZERO_HASH;
  if (isOnRail) report.say(`agreed to with: mpbp order consent ${id}`);
  else sayLink(session, linkOf(id, chainId), options);
  if (options.wait) await untilPaid(session, id);
  report.end();
}

function sayLink({ report }: Session, link: string, { qr, json }: CreateOptions): void {
  report.say(link, { link });
  if (qr && !json) report.say(renderUnicodeCompact(link, { border: 2 }));
}

function termsOf(now: bigint, token: Address, options: CreateOptions) {
  const within = (text: string, what: string) => now + secondsArgument(text, what);
  const ref = options.ref ?? `order ${randomBytes(6).toString('hex')}`;
  const captureMode = options.captureLater ? 1n : 0n;
  const payBy = within(options.payWithin, '--pay-within');
  const latest = (time: bigint, other: bigint) => (time > other ? time : other);
  const captureBy = latest(within(options.captureWithin, '--capture-within'), payBy);
  const refundBy = latest(within(options.refundWithin, '--refund-within'), captureBy);
  return {
    merchantId: idOf(options.merchant, '--merchant'),
    orderRef: idOf(ref, '--ref'),
    token,
    amount: saleAmount(options.amount, '--amount'),
    payer: options.payer === undefined ? ZERO_ADDRESS : addressArgument(options.payer, '--payer'),
    channelId: options.channel === undefined ? TOKEN_CHANNEL : idOf(options.channel, '--channel'),
    ...{ captureMode, payBy, captureBy, refundBy },
    maxFeeBps: bpsArgument(options.maxFee),
    metadataHash: options.note === undefined ? ZERO_HASH : keccakHash(utf8(options.note)),
    salt: bytesToUint(randomBytes(32)),
  };
}

function bpsArgument(text: string): bigint {
  const parts = /^(\d{1,3})(?:\.(\d{1,2}))?$/.exec(text);
  const [, whole = '', part = ''] = parts ?? [];
  const bps = parts === null ? -1n : BigInt(whole + part.padEnd(2, '0'));
  if (bps >= 0n && bps <= 10_000n) return bps;
  throw new UserError(EXIT.usage, `--max-fee should be a percentage such as 1.5, not "${text}"`);
}

const OPEN = new Set(['REQUESTED', 'ROUTED', 'AUTHORIZED', 'IN_PROCESS', 'IN_DOUBT']);

/** A payer's consent to a rail has moved nothing yet. */
function isPaid(order: Order): boolean {
  return order.state === 'SETTLED' || (order.state === 'AUTHORIZED' && railOf(order) === null);
}

async function untilPaid({ client, report }: Session, id: Hash): Promise<void> {
  for (;;) {
    const order = await readOrder(client, id);
    if (isPaid(order)) {
      const whom = order.payer === null ? '' : ` by ${order.payer}`;
      report.say(`paid${whom}: ${order.state}`, { state: order.state, payer: order.payer });
      return;
    }
    const { state, payBy, captureBy } = order;
    const end = BigInt(state === 'AUTHORIZED' ? captureBy : payBy);
    const mayWait = state === 'IN_PROCESS' || state === 'IN_DOUBT';
    const isOver = !mayWait && end <= BigInt(Math.floor(Date.now() / 1_000));
    if (!OPEN.has(order.state) || isOver) {
      const why = isOver ? 'its time to be paid is over' : `it is ${order.state}`;
      report.say(`not paid: ${why}`, { state: order.state });
      process.exitCode = EXIT.badData;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}
