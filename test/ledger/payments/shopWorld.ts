/** A ledger with a currency, an acquirer, a merchant and customers with money. */
import assert from 'node:assert/strict';
import { hashTypedData, toHex as hexOf } from 'viem';
import { sign } from '#src/crypto/secp256k1.ts';
import { MERCHANT_REGISTRY, PAYMENT_ORDERS } from '#src/ledger/payments/addresses.ts';
import { channelRegistry } from '#src/ledger/payments/orders/channelRegistry.ts';
import { TOKEN_CHANNEL } from '#src/ledger/payments/orders/channelStore.ts';
import { merchantRegistry } from '#src/ledger/payments/orders/merchantRegistry.ts';
import type { OrderTerms } from '#src/ledger/payments/orders/orderStore.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { paymentTokenAt } from '#src/ledger/payments/tokens/paymentToken.ts';
import { tokenFactory } from '#src/ledger/payments/tokens/tokenFactory.ts';
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { type Address, ZERO_ADDRESS } from '#src/types/address.ts';
import type { Hash } from '#src/types/hash.ts';
import { chainId, type Person, person } from '../samples.ts';
import { Ledger, memberId, type Sent, type Wanted } from './rig.ts';

export const word = (text: string) => hexOf(text, { size: 32 }) as Hash;
export const none = word('');
export const shopId = word('shop');

/**
 * m0 issues, m1 brings the merchant in, m2 runs a rail and m3 its connection. Settlement account and
 * keys are apart.
 */
export const [bank, acquirer, shop, till, clerk, ann, bea, feeTaker, courier] = [
  ...[0, 1, 4, 5, 6, 7, 8, 9, 10],
].map(person) as [Person, Person, Person, Person, Person, Person, Person, Person, Person];
/** The account of the rail's member, of its connection's, and the key of its results. */
export const [rail, relay, seal] = [2, 3, 11].map(person) as [Person, Person, Person];
export const CARD = word('CARD');
export const RIGHTS = { order: 1, capture: 2, refund: 4, admin: 8 } as const;

type Field = readonly [type: string, name: string];

const TERMS: readonly Field[] = [
  ...([
    ['bytes32', 'merchantId'],
    ['bytes32', 'orderRef'],
    ['address', 'token'],
  ] as const),
  ...([
    ['uint256', 'amount'],
    ['address', 'payer'],
    ['bytes32', 'channelId'],
  ] as const),
  ...([
    ['uint8', 'captureMode'],
    ['uint48', 'payBy'],
    ['uint48', 'captureBy'],
  ] as const),
  ...([
    ['uint48', 'refundBy'],
    ['uint16', 'maxFeeBps'],
    ['bytes32', 'metadataHash'],
  ] as const),
  ['uint256', 'salt'],
];
const REGISTRATION: readonly Field[] = [
  ...([
    ['bytes32', 'merchantId'],
    ['bytes32', 'legalEntityHash'],
  ] as const),
  ...([
    ['string', 'displayName'],
    ['bytes2', 'country'],
    ['uint16', 'mcc'],
  ] as const),
  ...([
    ['bytes32', 'acquirerId'],
    ['address', 'settlementAccount'],
  ] as const),
  ...([
    ['uint64', 'payerPolicyId'],
    ['bool', 'autoRoute'],
  ] as const),
];
const AUTHORIZATION: readonly Field[] = [
  ...([
    ['address', 'from'],
    ['address', 'to'],
    ['uint256', 'value'],
  ] as const),
  ...([
    ['uint256', 'validAfter'],
    ['uint256', 'validBefore'],
    ['bytes32', 'nonce'],
  ] as const),
];

const CONSENT: readonly Field[] = [
  ...([
    ['bytes32', 'orderId'],
    ['address', 'payer'],
    ['address', 'token'],
  ] as const),
  ...([
    ['uint256', 'amount'],
    ['bytes32', 'channelId'],
    ['uint48', 'validBefore'],
  ] as const),
];

export type Consent = {
  orderId: Hash;
  payer: Address;
  token: Address;
  amount: bigint;
  channelId: Hash;
  validBefore: bigint;
};
export type Fee = { receiver: Address; bps: number; fixedAmount: bigint; kind: Hash };

export class ShopWorld {
  readonly ledger = new Ledger({ member: { roles: 1 | 4 | 8 | 16 | 32 } });
  readonly token: Address;
  #salt = 0n;

  constructor(merchant: object = {}) {
    const args = ['Euro', 'EUR', 'EUR', memberId(0), bank.address, none];
    const made = this.ledger.send(bank, [tokenFactory, 'createToken', args]);
    this.token = String(made.logs[0]?.args.token).toLowerCase() as Address;
    for (const { address } of [ann, bea]) {
      this.ok(bank, [this.euro, 'mintWithMemo', [address, 1_000_000n, none]]);
    }
    const { terms, signature } = this.registration(merchant);
    this.ok(acquirer, [merchantRegistry, 'registerMerchant', [terms, signature]]);
    const keys: [Person, number][] = [
      [till, RIGHTS.order | RIGHTS.capture],
      [clerk, RIGHTS.refund],
    ];
    for (const [{ address }, rights] of keys) {
      this.ok(shop, [merchantRegistry, 'setOrderKey', [shopId, address, rights, true]]);
    }
  }

  get euro() {
    return paymentTokenAt(this.token) ?? assert.fail('a token');
  }
  get now(): bigint {
    return BigInt(Math.floor(this.ledger.facts.timestampMs / 1_000));
  }
  ok(from: Person, wanted: Wanted): Sent {
    const sent = this.ledger.send(from, wanted);
    assert.ok(sent.ok, `${wanted[1]}: ${sent.reason}`);
    this.check();
    return sent;
  }
  fails(error: string, from: Person, wanted: Wanted): Sent {
    const sent = this.ledger.send(from, wanted);
    assert.equal(sent.error?.name, error, `${wanted[1]}: ${sent.reason}`);
    assert.equal(sent.ok, false);
    this.check();
    return sent;
  }
  wait(seconds: number): void {
    this.ledger.timeMs += seconds * 1_000;
  }

  // --- what people sign ---------------------------------------------------------------------------

  sign(by: Person, domain: object, primaryType: string, fields: readonly Field[], message: object) {
    const parameters = fields.map(([type, name]) => ({ type, name }));
    const hash = hashTypedData({
      domain: { version: '1', chainId: Number(chainId), ...domain },
      types: { [primaryType]: parameters },
      primaryType,
      message: message as Record<string, unknown>,
    });
    return { hash: hash as Hash, signature: signSync(by, hash) };
  }

  registration(change: object = {}, by = shop) {
    const terms = {
      ...{ merchantId: shopId, legalEntityHash: word('Shop Ltd'), displayName: 'The Shop' },
      ...{ country: '0x4445', mcc: 5_411, acquirerId: memberId(1) },
      ...{ settlementAccount: shop.address, payerPolicyId: 1n, status: 0, autoRoute: true },
      ...change,
    };
    const domain = { name: 'MPBP MerchantRegistry', verifyingContract: MERCHANT_REGISTRY };
    const { signature } = this.sign(by, domain, 'MerchantRegistration', REGISTRATION, terms);
    return { terms, signature };
  }

  order(change: Partial<OrderTerms> = {}, by = till) {
    this.#salt++;
    const terms = {
      ...{ merchantId: shopId, orderRef: word(`order ${this.#salt}`), token: this.token },
      ...{ amount: 1_000n, payer: ZERO_ADDRESS, channelId: TOKEN_CHANNEL, captureMode: 0n },
      ...{ payBy: this.now + 100n, captureBy: this.now + 200n, refundBy: this.now + 300n },
      ...{ maxFeeBps: 500n, metadataHash: none, salt: this.#salt, ...change },
    };
    const domain = { name: 'MPBP PaymentOrders', verifyingContract: PAYMENT_ORDERS };
    const fields = { ...terms, captureMode: Number(terms.captureMode) };
    const { hash, signature } = this.sign(by, domain, 'OrderTerms', TERMS, fields);
    return { id: hash, terms, signature };
  }
  /** Signed, sent by the gateway, and there. */
  create(change: Partial<OrderTerms> = {}): Hash {
    const { id, terms, signature } = this.order(change);
    this.ok(courier, [paymentOrders, 'createOrder', [terms, signature]]);
    return id;
  }
  authorization(by: Person, id: Hash, value: bigint) {
    const validBefore = this.now + 1_000n;
    const message = { from: by.address, to: PAYMENT_ORDERS, value, validAfter: 0n, validBefore };
    const domain = { name: 'Euro', verifyingContract: this.token };
    const fields = { ...message, nonce: id };
    const { signature } = this.sign(by, domain, 'ReceiveWithAuthorization', AUTHORIZATION, fields);
    return [id, by.address, 0n, validBefore, signature] as const;
  }
  consent(by: Person, id: Hash, change: Partial<Consent> = {}) {
    const terms = {
      ...{ orderId: id, payer: by.address, token: this.token, amount: 1_000n, channelId: CARD },
      ...{ validBefore: this.now + 1_000n, ...change },
    };
    const domain = { name: 'MPBP PaymentOrders', verifyingContract: PAYMENT_ORDERS };
    const fields = { ...terms, validBefore: Number(terms.validBefore) };
    const { signature } = this.sign(by, domain, 'PaymentConsent', CONSENT, fields);
    return [terms, signature] as const;
  }
  /** A rail that the merchant is known to. */
  openCard(change: object = {}): void {
    const channel = {
      ...{ channelId: CARD, memberId: memberId(2), kind: word('card'), resultKey: seal.address },
      ...{ connection: relay.address, ackSla: 30, resultSla: 120, status: 0, ...change },
    };
    this.ok(rail, [channelRegistry, 'registerChannel', [channel]]);
    const binding = [shopId, CARD, word('merchant 7'), word('account 7')];
    this.ok(acquirer, [merchantRegistry, 'bindChannel', binding]);
  }
  /** Signed for the rail, and routed to it. */
  createOnCard(change: Partial<OrderTerms> = {}): Hash {
    const id = this.create({ channelId: CARD, ...change });
    this.do(acquirer, 'routeOrder', id, CARD, none);
    return id;
  }
  setFees(fees: readonly Fee[], hashFees: (fees: never) => Hash, channelId = TOKEN_CHANNEL) {
    const fields: readonly Field[] = [
      ...([
        ['bytes32', 'merchantId'],
        ['bytes32', 'channelId'],
        ['bytes32', 'feesHash'],
      ] as const),
      ['uint256', 'nonce'],
    ];
    const nonce = this.ledger.view(merchantRegistry, 'signatureNonce', [shopId]);
    const counted = fees.map((fee) => ({ ...fee, bps: BigInt(fee.bps) }));
    const feesHash = hashFees(counted as never);
    const message = { merchantId: shopId, channelId, feesHash, nonce };
    const domain = { name: 'MPBP MerchantRegistry', verifyingContract: MERCHANT_REGISTRY };
    const { signature } = this.sign(shop, domain, 'FeeSchedule', fields, message);
    const args = [shopId, channelId, fees, signature];
    this.ok(acquirer, [merchantRegistry, 'setFeeSchedule', args]);
  }

  // --- what is there ------------------------------------------------------------------------------

  do(from: Person, name: string, ...args: unknown[]): Sent {
    return this.ok(from, [paymentOrders, name, args]);
  }
  refused(error: string, from: Person, name: string, ...args: unknown[]): Sent {
    return this.fails(error, from, [paymentOrders, name, args]);
  }
  stateOf(id: Hash): number {
    return (this.ledger.view(paymentOrders, 'stateOf', [id]) as [number, boolean])[0];
  }
  get(id: Hash): Record<string, unknown> {
    return this.ledger.view(paymentOrders, 'getOrder', [id]) as Record<string, unknown>;
  }
  /** Available and held. */
  money({ address }: { address: Address }): [bigint, bigint] {
    const ask = (name: string) => this.ledger.view(this.euro, name, [address]) as bigint;
    return [ask('balanceOf'), ask('balanceOnHold')];
  }
  /** Nothing is made or lost, and what is held is what open orders hold. */
  check(): void {
    const held = this.checkSums();
    assert.equal(held, this.ledger.view(paymentOrders, 'escrowedTotal', [this.token]));
  }
  /** Nothing is made or lost. Gives what is held. */
  checkSums(): bigint {
    const everybody = [bank, acquirer, shop, till, clerk, ann, bea, feeTaker, courier];
    const all = [...everybody, { address: PAYMENT_ORDERS }].map((one) => this.money(one));
    const available = all.reduce((sum, [one]) => sum + one, 0n);
    const held = all.reduce((sum, [, one]) => sum + one, 0n);
    const ask = (name: string) => this.ledger.view(this.euro, name) as bigint;
    assert.equal(available + held, ask('totalSupply'));
    assert.equal(held, ask('totalSupplyOnHold'));
    return held;
  }
}

/** viem signs behind a promise; the ledger's own signer is at hand. */
function signSync({ key }: Person, hash: string): string {
  const { signature, yParity } = sign(fromHex(hash) ?? assert.fail(), key);
  return `${toHex(signature)}${yParity === 0 ? '1b' : '1c'}`;
}
