/** An order as a node tells it, and how it is named on the command line. */
import { PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress, parseAddress } from '#src/types/address.ts';
import { type Hash, parseHash } from '#src/types/hash.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { Client } from '../../client.ts';
import { printable, table } from '../../output.ts';
import { money, textOf } from './words.ts';

/** As `mpbp_getOrder` gives it. */
export type Order = {
  orderId: Hash;
  state: string;
  merchant: { merchantId: Hash; displayName: string };
  orderRef: Hash;
  /** As it was signed, and where it went. */
  channelId: Hash;
  routedChannelId: Hash | null;
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

/** EIP-681: the call that pays it. */
export function linkOf(id: Hash, chainId: number): string {
  return `ethereum:${formatAddress(PAYMENT_ORDERS)}@${chainId}/pay?bytes32=${id}`;
}

const LINK = /^ethereum:(0x[0-9a-fA-F]{40})@([1-9]\d{0,15})\/pay\?bytes32=(0x[0-9a-f]{64})$/;

/** A link has to be for this contract: another one could ask for anything. */
export function orderArgument(text: string): Hash {
  const link = LINK.exec(text);
  const id = parseHash(link?.[3] ?? text);
  const to = link === null ? null : parseAddress(link[1] ?? '');
  const isOurs = to === null || (to.ok && to.value === PAYMENT_ORDERS);
  if (id !== null && isOurs) return id;
  throw new UserError(EXIT.usage, 'the order should be its id (0x and 64 digits) or its link');
}

export async function needChain(client: Client, text: string): Promise<void> {
  const wanted = LINK.exec(text)?.[2];
  if (wanted === undefined) return;
  const chainId = BigInt(await client.call<string>('eth_chainId'));
  if (chainId === BigInt(wanted)) return;
  const where = `chain ${wanted}, and ${client.url} is of chain ${chainId}`;
  throw new UserError(EXIT.badData, `the link is for ${where} [LINK_CHAIN]`);
}

export async function readOrder(client: Client, id: Hash): Promise<Order> {
  const order = await client.call<Order | null>('mpbp_getOrder', id);
  if (order === null) throw new UserError(EXIT.badData, `there is no order ${id} on ${client.url}`);
  return order;
}

export function amountIn({ token }: Order, amount: bigint | string): string {
  const parsed = parseAddress(token);
  return parsed.ok ? money(BigInt(amount), parsed.value) : `${amount}`;
}

export function shopOf({ merchant }: Order): string {
  return printable(merchant.displayName);
}

/** The rail that settles it, where it is one. */
export function railOf({ routedChannelId }: Order): Hash | null {
  return routedChannelId === TOKEN_CHANNEL ? null : routedChannelId;
}

function routeOf({ channelId, routedChannelId }: Order): string {
  if (routedChannelId === TOKEN_CHANNEL) return 'tokens of the ledger';
  if (routedChannelId !== null) return printable(textOf(routedChannelId));
  const wanted = channelId === ZERO_HASH ? '' : `, wanted: ${printable(textOf(channelId))}`;
  return `not routed yet${wanted}`;
}

/** A chain that was idle has an old newest block: a clock begins with the next one. */
export async function nowOf(client: Client): Promise<bigint> {
  const { timestamp } = await client.call<{ timestamp: string }>(
    ...(['eth_getBlockByNumber', 'latest', false] as const),
  );
  return BigInt(Math.max(Number(BigInt(timestamp)), Math.floor(Date.now() / 1_000)));
}

export function describe(order: Order): string {
  const time = (quantity: string) =>
    new Date(Number(BigInt(quantity)) * 1_000).toISOString().replace('T', ' ').slice(0, 19);
  return table([
    ['order', printable(textOf(order.orderRef))],
    ['state', order.state],
    ['merchant', `${shopOf(order)} (${printable(textOf(order.merchant.merchantId))})`],
    ['amount', amountIn(order, order.amount)],
    ['over', routeOf(order)],
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
