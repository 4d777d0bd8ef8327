/**
 * What orders cost with real validators: many gateways create them, many customers pay them into
 * holds, many tills capture them. Everything is signed before the clock runs.
 */
import { type AbiParameter, hashTypedData, parseAbiParameters } from 'viem';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { merchantRegistry } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { RIGHT } from '#src/ledger/payments/orders/merchantStore.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { fromHex, uintToBytes, utf8 } from '#src/lib/bytes.ts';
import { assert } from '#src/lib/failure.ts';
import { ZERO_ADDRESS } from '#src/types/address.ts';
import { type Hash, hashFromBytes, keccakHash } from '#src/types/hash.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { signDigest } from '#src/wallet/signature.ts';
import {
  balance,
  euro,
  nonceOf,
  shareEuros,
  signed,
  timed,
  type WantedCall,
  zero32,
} from './calls.ts';
import { type Account, accounts, fund, Target } from './load.ts';
import type { Running } from './peers.ts';
import type { Goal, Table } from './table.ts';

const senders = 20;
const amount = 100n;
/** The second member's. */
const acquirerIndex = 1_001;
const merchantId = keccakHash(utf8('a shop to measure'));
const gas = { create: 500_000n, pay: 300_000n, capture: 300_000n, manage: 500_000n };

export async function measureOrders(
  table: Table,
  label: string,
  running: Running,
  count: number,
  goals: { created?: Goal; paid?: Goal; captured?: Goal } = {},
): Promise<void> {
  const target = new Target(running.rpc[0] ?? '');
  const group = accounts(300, senders);
  const [shop] = accounts(330, 1) as [Account];
  await fund(target, [...group, shop]);
  const chainId = BigInt(await target.call<string>('eth_chainId', []));
  await shareEuros(target, chainId, group, merchantId);
  await openShop(target, chainId, shop, group);
  const { timestamp } = await target.call<{ timestamp: string }>('eth_getBlockByNumber', [
    ...['latest', false],
  ]);
  const orders = Array.from({ length: count }, (_, at) =>
    order(chainId, shop, BigInt(at + 1), BigInt(timestamp)),
  );
  const phases = [
    { what: 'created', goal: goals.created, call: createCall },
    { what: 'paid into a hold', goal: goals.paid, call: payCall },
    { what: 'captured', goal: goals.captured, call: captureCall },
  ];
  const cpuBefore = running.cpuSeconds();
  let seconds = 0;
  for (const { what, goal, call } of phases) {
    const calls = orders.map((one, at) =>
      signed(chainId, group[at % senders] as Account, call(one)),
    );
    const rate = await timed(target, group, calls, { inFlight: 1, batch: 100 });
    seconds += count / rate;
    table.note(`${label}: orders ${what}, batches of 100`, rate, 'orders/s', goal);
  }
  const cpu = ((running.cpuSeconds() - cpuBefore) / count) * 1e6;
  await checkSettled(target, orders, shop);
  table.note(`${label}: orders from terms to money`, count / seconds, 'orders/s');
  table.note(`${label}: orders from terms to money, CPU of all nodes`, cpu, 'µs/order');
  target.close();
}

// --- calls ---------------------------------------------------------------------------------------

type Order = { readonly id: Hash; readonly terms: object; readonly signature: Uint8Array };

function createCall({ terms, signature }: Order): WantedCall {
  const args = [terms, signature];
  return { contract: paymentOrders, name: 'createOrder', args, gasLimit: gas.create };
}

function payCall({ id }: Order): WantedCall {
  return { contract: paymentOrders, name: 'pay', args: [id], gasLimit: gas.pay };
}

function captureCall({ id }: Order): WantedCall {
  const args = [id, amount];
  return { contract: paymentOrders, name: 'capture', args, gasLimit: gas.capture };
}

/** Its acquirer registers the shop, which gives every sender the right to capture. */
async function openShop(
  target: Target,
  chainId: bigint,
  shop: Account,
  tills: readonly Account[],
): Promise<void> {
  const [acquirer] = accounts(acquirerIndex, 1) as [Account];
  acquirer.nonce = await nonceOf(target, acquirer.address);
  const merchant = {
    ...{ merchantId, legalEntityHash: merchantId, displayName: 'A Shop to Measure' },
    ...{ country: '0x4445', mcc: 5_411n, acquirerId: memberIdOf('member-1') },
    ...{ settlementAccount: shop.address, payerPolicyId: 1n, status: 0n, autoRoute: true },
  };
  const domain = { name: 'MPBP MerchantRegistry', verifyingContract: merchantRegistry.address };
  const digest = digestOf(chainId, domain, 'MerchantRegistration', REGISTRATION, merchant);
  const manage = { contract: merchantRegistry, gasLimit: gas.manage };
  const args = [merchant, signDigest(digest, shop.key)];
  const registered = signed(chainId, acquirer, { ...manage, name: 'registerMerchant', args });
  await timed(target, [acquirer], [registered], { inFlight: 1, batch: 1 });
  const keys = tills.map(({ address }) => {
    const key = [merchantId, address, RIGHT.capture, true];
    return signed(chainId, shop, { ...manage, name: 'setOrderKey', args: key });
  });
  await timed(target, [shop], keys, { inFlight: 1, batch: keys.length });
}

function order(chainId: bigint, shop: Account, number: bigint, now: bigint): Order {
  const terms = {
    ...{ merchantId, orderRef: hashFromBytes(uintToBytes(number, 32)), token: euro, amount },
    ...{ payer: ZERO_ADDRESS, channelId: TOKEN_CHANNEL, captureMode: 1n },
    ...{ payBy: now + 3_600n, captureBy: now + 7_200n, refundBy: now + 10_800n },
    ...{ maxFeeBps: 0n, metadataHash: zero32, salt: number },
  };
  const domain = { name: 'MPBP PaymentOrders', verifyingContract: paymentOrders.address };
  const digest = digestOf(chainId, domain, 'OrderTerms', TERMS, terms);
  return { id: hashFromBytes(digest), terms, signature: signDigest(digest, shop.key) };
}

/** Each of them, as the ledger has it, and the money as the shop has it. */
async function checkSettled(
  target: Target,
  orders: readonly Order[],
  shop: Account,
): Promise<void> {
  type Found = { state: string; captured: string } | null;
  for (let at = 0; at < orders.length; at += 100) {
    const calls = orders
      .slice(at, at + 100)
      .map(({ id }) => ({ method: 'mpbp_getOrder', params: [id] }));
    for (const found of (await target.batch(calls)) as Found[]) {
      const isSettled = found?.state === 'SETTLED' && BigInt(found.captured) === amount;
      assert(isSettled, `every order is settled: ${JSON.stringify(found)}`);
    }
  }
  const earned = await balance(target, shop.address);
  assert(earned === amount * BigInt(orders.length), 'the shop has the money of every order');
}

// --- what is signed (EIP-712) --------------------------------------------------------------------

const TERMS = parseAbiParameters([
  'bytes32 merchantId, bytes32 orderRef, address token, uint256 amount, address payer',
  'bytes32 channelId, uint8 captureMode, uint48 payBy, uint48 captureBy, uint48 refundBy',
  'uint16 maxFeeBps, bytes32 metadataHash, uint256 salt',
]);
const REGISTRATION = parseAbiParameters([
  'bytes32 merchantId, bytes32 legalEntityHash, string displayName, bytes2 country, uint16 mcc',
  'bytes32 acquirerId, address settlementAccount, uint64 payerPolicyId, bool autoRoute',
]);

function digestOf(
  chainId: bigint,
  domain: object,
  primaryType: string,
  fields: readonly AbiParameter[],
  message: Record<string, unknown>,
): Uint8Array {
  const types = { [primaryType]: fields.map(({ type, name = '' }) => ({ type, name })) };
  const whole = { version: '1', chainId: Number(chainId), ...domain };
  const digest = fromHex(hashTypedData({ domain: whole, types, primaryType, message }));
  assert(digest !== null, 'a digest is hexadecimal');
  return digest;
}
