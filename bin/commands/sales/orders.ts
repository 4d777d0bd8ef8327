/** What becomes of an order that its merchant has asked for. */
import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { fromHex, utf8 } from '#src/lib/bytes.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { type Hash, hashFromBytes, keccakHash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import { wholeNumber } from '../../arguments.ts';
import { Client, defaultRpc } from '../../client.ts';
import { makeOutput, printable } from '../../output.ts';
import { confirm } from '../../secrets.ts';
import { type Session, type SessionOptions, signing } from '../membership/session.ts';
import {
  amountIn,
  describe,
  needChain,
  nowOf,
  type Order,
  orderArgument,
  railOf,
  readOrder,
  shopOf,
} from './orderFacts.ts';
import { type Field, signDocument } from './signing.ts';
import { idOf, openSales, saleAmount, secondsArgument, textOf } from './words.ts';

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

const CONSENT: readonly Field[] = [
  ['bytes32', 'orderId'],
  ['address', 'payer'],
  ['address', 'token'],
  ['uint256', 'amount'],
  ['bytes32', 'channelId'],
  ['uint48', 'validBefore'],
];

type ConsentOptions = { within: string };

/** The payer's signature, which it brings here itself. */
export function consentCommand(): Command {
  return onOrder<ConsentOptions>(
    'consent',
    'let a rail take the money for an order',
    'recordConsent',
    {
      example: 'mpbp order consent 0x…',
      agrees: (order) => [
        `let   ${overWhat(order)} take ${amountIn(order, order.amount)} from you`,
        `for   ${shopOf(order)}, ${printable(textOf(order.orderRef))}`,
      ],
      values: signConsent,
      says: (order) =>
        `${overWhat(order)} may take ${amountIn(order, order.amount)}: ${order.state}`,
    },
  )
    .option('--within <time>', 'how long your word is good, like 90s, 15m, 2h or 30d', '1h')
    .option('--yes', 'do not ask before signing', false);
}

async function signConsent(
  { orderId, token, amount, routedChannelId }: Order,
  options: SessionOptions & ConsentOptions,
  { client, wallet }: Session,
): Promise<readonly unknown[]> {
  const validBefore = (await nowOf(client)) + secondsArgument(options.within, '--within');
  const channelId = routedChannelId ?? ZERO_HASH;
  const consent = {
    ...{ orderId, payer: wallet.address, token: token.toLowerCase(), channelId },
    ...{ amount: BigInt(amount), validBefore },
  };
  const chainId = Number(BigInt(await client.call<string>('eth_chainId')));
  const domain = { name: 'MPBP PaymentOrders', chainId, verifyingContract: PAYMENT_ORDERS };
  const message = {
    ...{ ...consent, payer: formatAddress(wallet.address), token },
    ...{ amount: `${consent.amount}`, validBefore: `${validBefore}` },
  };
  const document = { domain, primaryType: 'PaymentConsent', fields: CONSENT, message };
  const { signature } = await signDocument(document, options);
  return [consent, fromHex(signature)];
}

function overWhat(order: Order): string {
  const rail = railOf(order);
  return rail === null ? 'no rail' : printable(textOf(rail));
}

export function routeCommand(): Command {
  return onOrder<{ channel?: string; rules?: string }>(
    'route',
    'send an order that you have screened to its channel (the acquirer)',
    'routeOrder',
    {
      example: 'mpbp order route 0x… --channel CARD --keystore devnet/wallets/member-1',
      values: ({ orderId, channelId }, { channel, rules }) => {
        const to = channel === undefined ? channelId : idOf(channel, '--channel');
        return [orderId, to, rules === undefined ? ZERO_HASH : keccakHash(utf8(rules))];
      },
      says: (order) =>
        `${order.state} over ${printable(textOf(order.routedChannelId ?? ZERO_HASH))}`,
    },
  )
    .option('--channel <id>', 'which, or TOKEN; left out: the one that the merchant named')
    .option('--rules <text>', 'what it was screened by; only its hash is told');
}

export function rejectCommand(): Command {
  return onOrder<{ code: number; reason?: string }>(
    'reject',
    'refuse an order that is not paid (the acquirer)',
    'rejectOrder',
    {
      example: 'mpbp order reject 0x… --code 7 --reason "no gambling"',
      values: ({ orderId }, { code, reason }) => [
        ...[orderId, BigInt(code), reason === undefined ? ZERO_HASH : keccakHash(utf8(reason))],
      ],
      says: ({ state }) => state,
    },
  )
    .option('--code <n>', 'your reason as a number', wholeNumber(0, 65_535), 0)
    .option('--reason <text>', 'and in words; only their hash is told');
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
  return onOrder(
    'cancel',
    'withdraw an order that is not paid, or what you consented to',
    'cancel',
    {
      example: 'mpbp order cancel 0x…',
      says: ({ state }) => state,
    },
  );
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

type Told<O> = {
  readonly example: string;
  /** What the call takes; the order's id where it is left out. */
  readonly values?: (order: Order, options: SessionOptions & O, session: Session) => Values;
  readonly says: (order: Order) => string;
  /** What is shown before; on a terminal somebody has to say yes. */
  readonly agrees?: (order: Order) => readonly string[];
};

type Values = readonly unknown[] | Promise<readonly unknown[]>;

function onOrder<O extends object>(
  name: string,
  what: string,
  method: string,
  told: Told<O>,
): Command {
  const { example, says, agrees, values = ({ orderId }) => [orderId] } = told;
  return signing(new Command(name))
    .description(what)
    .argument('<order>', 'id or link')
    .addHelpText('after', `\nExample:\n  $ ${example}`)
    .action(async (text: string, options: SessionOptions & O & { yes?: boolean }) => {
      const id = orderArgument(text);
      const session = await openSales(options);
      await needChain(session.client, text);
      const before = await readOrder(session.client, id);
      if (agrees !== undefined) await ask(agrees(before), options.yes === true);
      const wanted = await values(before, options, session);
      const receipt = await session.send(paymentOrders, method, wanted);
      const order = await readOrder(session.client, id);
      session.report.say(says(order), { ...order, transactionHash: receipt.transactionHash });
      session.report.end();
    });
}

async function ask(lines: readonly string[], isAgreed: boolean): Promise<void> {
  process.stderr.write(`${lines.join('\n')}\n`);
  if (isAgreed || !process.stdin.isTTY) return;
  if (!(await confirm('is this right?'))) throw new UserError(EXIT.usage, 'nothing was done');
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
