import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { renderUnicodeCompact } from 'uqr';
import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { bytesToUint, fromHex, utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress, parseAddress, ZERO_ADDRESS } from '#src/types/address.ts';
import { type Hash, hashFromBytes, keccakHash, parseHash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { addressArgument } from '../../arguments.ts';
import { Client, defaultRpc } from '../../client.ts';
import { makeOutput, printable, table } from '../../output.ts';
import { confirm } from '../../secrets.ts';
import { findCurrency } from '../currency/tokens.ts';
import { type Session, type SessionOptions, signing } from '../membership/session.ts';
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

/** As `mpbp_getOrder` gives it. */
type Order = {
  orderId: Hash;
  state: string;
  merchant: { merchantId: Hash; displayName: string };
  orderRef: Hash;
  token: string;
  amount: string;
  captureMode: string;
  payBy: string;
  captureBy: string;
  refundBy: string;
  payer: string | null;
  settlementAccount: string;
  authorized: string;
  captured: string;
  refunded: string;
};

// --- asking for a payment ------------------------------------------------------------------------

type CreateOptions = SessionOptions & {
  merchant: string;
  amount: string;
  token: string;
  ref?: string;
  payer?: string;
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
        'where it was cancelled or its time is over.',
    )
    .action(create);
}

async function create(options: CreateOptions): Promise<void> {
  const session = await openSales(options);
  const { client, report } = session;
  const { address: token } = await findCurrency(client, options.token);
  const terms = await termsOf(client, token, options);
  const chainId = Number(BigInt(await client.call<string>('eth_chainId')));
  const domain = { name: 'MPBP PaymentOrders', chainId, verifyingContract: PAYMENT_ORDERS };
  const message = Object.fromEntries(
    Object.entries(terms).map(([key, value]) => [key, String(value)]),
  );
  const document = { domain, primaryType: 'OrderTerms', fields: TERMS, message };
  const { digest, signature } = await signDocument(document, options);
  const id = hashFromBytes(digest);
  await session.send(paymentOrders, 'createOrder', [terms, fromHex(signature)]);
  const link = linkOf(id, chainId);
  const ref = textOf(terms.orderRef);
  const data = { orderId: id, link, orderRef: ref };
  report.say(`order ${printable(ref)}: ${money(terms.amount, token)}`, data);
  report.say(link);
  if (options.qr && !options.json) report.say(renderUnicodeCompact(link, { border: 2 }));
  if (options.wait) await untilPaid(session, id);
  report.end();
}

async function termsOf(client: Client, token: string, options: CreateOptions) {
  const { timestamp } = await client.call<{ timestamp: string }>(
    ...(['eth_getBlockByNumber', 'latest', false] as const),
  );
  // A chain that was idle has an old newest block: the order's clock begins with the next one.
  const now = BigInt(Math.max(Number(BigInt(timestamp)), Math.floor(Date.now() / 1_000)));
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
    channelId: TOKEN_CHANNEL,
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

/** EIP-681: the call that pays it. */
function linkOf(id: Hash, chainId: number): string {
  return `ethereum:${formatAddress(PAYMENT_ORDERS)}@${chainId}/pay?bytes32=${id}`;
}

const PAID = new Set(['AUTHORIZED', 'SETTLED']);
const OPEN = new Set(['REQUESTED', 'ROUTED']);

async function untilPaid({ client, report }: Session, id: Hash): Promise<void> {
  for (;;) {
    const order = await readOrder(client, id);
    if (PAID.has(order.state)) {
      const whom = order.payer === null ? '' : ` by ${order.payer}`;
      report.say(`paid${whom}: ${order.state}`, { state: order.state, payer: order.payer });
      return;
    }
    const isOver = BigInt(order.payBy) <= BigInt(Math.floor(Date.now() / 1_000));
    if (!OPEN.has(order.state) || isOver) {
      const why = isOver ? 'its time to be paid is over' : `it is ${order.state}`;
      report.say(`not paid: ${why}`, { state: order.state });
      process.exitCode = EXIT.badData;
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

// --- what becomes of it --------------------------------------------------------------------------

export function showOrderCommand(): Command {
  return new Command('show')
    .description('an order and its money')
    .argument('<order>', 'id or link')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp order show 0x…')
    .action(async (text: string, options: { rpc: string; json: boolean }) => {
      const order = await readOrder(new Client(options.rpc), orderArgument(text));
      makeOutput(options.json).result(order, describe(order));
    });
}

export function payOrderCommand(): Command {
  return onOrder('pay', 'pay an order: at once, or held until the merchant captures it', 'pay', {
    example: 'mpbp order pay "ethereum:0x4D50…0022@6727/pay?bytes32=0x…"',
    agrees: (order) => {
      const how = order.captureMode === 'charge' ? 'at once' : 'held until it is captured';
      return [
        `pay   ${amountIn(order, order.amount)}, ${how}`,
        `to    ${shopOf(order)}, ${order.settlementAccount}`,
        `for   ${printable(textOf(order.orderRef))}`,
      ];
    },
    says: (order) =>
      order.state === 'SETTLED'
        ? `paid ${amountIn(order, order.captured)} to ${shopOf(order)}`
        : `${amountIn(order, order.authorized)} are held for ${shopOf(order)}`,
  }).option('--yes', 'do not ask before paying', false);
}

export function captureCommand(): Command {
  return onOrderAmount('capture', 'take what is held, all of it or a part', {
    example: 'mpbp order capture 0x… 7.50',
    rest: ({ authorized, captured }) => BigInt(authorized) - BigInt(captured),
    values: (id, amount) => [id, amount],
    says: (order, amount) =>
      `captured ${amountIn(order, amount)}, ${amountIn(order, order.captured)} in all`,
  });
}

export function refundCommand(): Command {
  return onOrderAmount('refund', 'give back to whoever paid, all of it or a part', {
    example: 'mpbp order refund 0x… 2.50',
    rest: ({ captured, refunded }) => BigInt(captured) - BigInt(refunded),
    values: (id, amount) => [id, amount, hashFromBytes(randomBytes(32))],
    says: (order, amount) => `gave back ${amountIn(order, amount)} to ${order.payer}`,
  });
}

export function voidCommand(): Command {
  return onOrder('void', 'let go of what is held and was not captured', 'voidOrder', {
    example: 'mpbp order void 0x…',
    says: ({ state }) => `released: ${state}`,
  });
}

export function cancelCommand(): Command {
  return onOrder('cancel', 'withdraw an order that is not paid', 'cancel', {
    example: 'mpbp order cancel 0x…',
    says: ({ state }) => state,
  });
}

export function reclaimCommand(): Command {
  return onOrder('reclaim', 'take back what was held for you too long (the payer)', 'reclaim', {
    example: 'mpbp order reclaim 0x…',
    says: ({ state }) => `released: ${state}`,
  });
}

export function expireCommand(): Command {
  return onOrder('expire', 'end an order whose time is over (anybody)', 'expire', {
    example: 'mpbp order expire 0x…',
    says: ({ state }) => state,
  });
}

type Told = {
  readonly example: string;
  readonly says: (order: Order) => string;
  /** What is shown before; on a terminal somebody has to say yes. */
  readonly agrees?: (order: Order) => readonly string[];
};

function onOrder(name: string, what: string, method: string, told: Told): Command {
  const { example, says, agrees } = told;
  return signing(new Command(name))
    .description(what)
    .argument('<order>', 'id or link')
    .addHelpText('after', `\nExample:\n  $ ${example}`)
    .action(async (text: string, options: SessionOptions & { yes?: boolean }) => {
      const id = orderArgument(text);
      const session = await openSales(options);
      await needChain(session.client, text);
      const before = await readOrder(session.client, id);
      if (agrees !== undefined) await ask(agrees(before), options.yes === true);
      const receipt = await session.send(paymentOrders, method, [id]);
      const order = await readOrder(session.client, id);
      session.report.say(says(order), { ...order, transactionHash: receipt.transactionHash });
      session.report.end();
    });
}

async function ask(lines: readonly string[], isAgreed: boolean): Promise<void> {
  process.stderr.write(`${lines.join('\n')}\n`);
  if (isAgreed || !process.stdin.isTTY) return;
  if (!(await confirm('pay this?'))) throw new UserError(EXIT.usage, 'not paid');
}

type Amounts = {
  readonly example: string;
  readonly rest: (order: Order) => bigint;
  readonly values: (id: Hash, amount: bigint) => readonly unknown[];
  readonly says: (order: Order, amount: bigint) => string;
};

function onOrderAmount(name: string, what: string, wanted: Amounts): Command {
  return signing(new Command(name))
    .description(what)
    .argument('<order>', 'id or link')
    .argument('[amount]', 'such as 7.50; all that is left where it is left out')
    .addHelpText('after', `\nExample:\n  $ ${wanted.example}`)
    .action(async (text: string, amountText: string | undefined, options: SessionOptions) => {
      const id = orderArgument(text);
      const given = amountText === undefined ? null : saleAmount(amountText, 'amount');
      const session = await openSales(options);
      await needChain(session.client, text);
      const amount = given ?? wanted.rest(await readOrder(session.client, id));
      if (amount === 0n) throw new UserError(EXIT.badData, `nothing is left to ${name}`);
      const receipt = await session.send(paymentOrders, name, wanted.values(id, amount));
      const order = await readOrder(session.client, id);
      const data = { ...order, transactionHash: receipt.transactionHash };
      session.report.say(wanted.says(order, amount), data);
      session.report.end();
    });
}

const LINK = /^ethereum:(0x[0-9a-fA-F]{40})@([1-9]\d{0,15})\/pay\?bytes32=(0x[0-9a-f]{64})$/;

/** A link has to be for this contract: another one could ask for anything. */
function orderArgument(text: string): Hash {
  const link = LINK.exec(text);
  const id = parseHash(link?.[3] ?? text);
  const to = link === null ? null : parseAddress(link[1] ?? '');
  const isOurs = to === null || (to.ok && to.value === PAYMENT_ORDERS);
  if (id !== null && isOurs) return id;
  throw new UserError(EXIT.usage, 'the order should be its id (0x and 64 digits) or its link');
}

async function needChain(client: Client, text: string): Promise<void> {
  const wanted = LINK.exec(text)?.[2];
  if (wanted === undefined) return;
  const chainId = BigInt(await client.call<string>('eth_chainId'));
  if (chainId === BigInt(wanted)) return;
  const where = `chain ${wanted}, and ${client.url} is of chain ${chainId}`;
  throw new UserError(EXIT.badData, `the link is for ${where} [LINK_CHAIN]`);
}

async function readOrder(client: Client, id: Hash): Promise<Order> {
  const order = await client.call<Order | null>('mpbp_getOrder', id);
  if (order === null) throw new UserError(EXIT.badData, `there is no order ${id} on ${client.url}`);
  return order;
}

function amountIn({ token }: Order, amount: bigint | string): string {
  const parsed = parseAddress(token);
  return parsed.ok ? money(BigInt(amount), parsed.value) : `${amount}`;
}

function shopOf({ merchant }: Order): string {
  return printable(merchant.displayName);
}

function describe(order: Order): string {
  const time = (quantity: string) =>
    new Date(Number(BigInt(quantity)) * 1_000).toISOString().replace('T', ' ').slice(0, 19);
  return table([
    ['order', printable(textOf(order.orderRef))],
    ['state', order.state],
    ['merchant', `${shopOf(order)} (${printable(textOf(order.merchant.merchantId))})`],
    ['amount', amountIn(order, order.amount)],
    ['taken', order.captureMode === 'charge' ? 'at once' : 'when it is captured'],
    ['authorized', amountIn(order, order.authorized)],
    ['captured', amountIn(order, order.captured)],
    ['refunded', amountIn(order, order.refunded)],
    ['payer', order.payer ?? 'nobody yet'],
    ['money goes to', order.settlementAccount],
    ['pay by', time(order.payBy)],
    ['capture by', time(order.captureBy)],
    ['refund by', time(order.refundBy)],
    ['id', order.orderId],
  ]);
}
