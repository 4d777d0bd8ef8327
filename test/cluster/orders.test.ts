/** A sale on four real validators, one of which is killed in the middle (payments.md 1). */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  type Abi,
  encodeFunctionData,
  type Hex,
  hashTypedData,
  parseUnits,
  toHex,
  zeroAddress,
  zeroHash,
} from 'viem';
import { mnemonicToAccount } from 'viem/accounts';
import { genesisTokenAddress } from '#src/ledger/payments/founding.ts';
import { merchantRegistry } from '#src/ledger/payments/orders/merchantRegistry.ts';
import { paymentOrders } from '#src/ledger/payments/orders/paymentOrders.ts';
import { tokenAbi } from '#src/ledger/payments/tokens/tokenAbi.ts';
import { memberIdOf } from '#src/types/memberId.ts';
import { Devnet, eventually, rpc, run } from './devnet.ts';
import { viemClients } from './viemClients.ts';

const words = 'test test test test test test test test test test test junk';
const account = (addressIndex: number) => mnemonicToAccount(words, { addressIndex });
type Account = ReturnType<typeof account>;
const [customer, shop, courier] = [3, 4, 5].map(account) as [Account, Account, Account];
/** The second member's. */
const acquirer = account(1_001);
const euro: Hex = genesisTokenAddress('EUR', 'member-0');
const euros = (text: string) => parseUnits(text, 6);
const word = (text: string) => toHex(text, { size: 32 });
const field = (text: string) => {
  const [type = '', name = ''] = text.split(' ');
  return { type, name };
};
const TERMS = (
  'bytes32 merchantId,bytes32 orderRef,address token,uint256 amount,address payer,' +
  'bytes32 channelId,uint8 captureMode,uint48 payBy,uint48 captureBy,uint48 refundBy,' +
  'uint16 maxFeeBps,bytes32 metadataHash,uint256 salt'
)
  .split(',')
  .map(field);
const REGISTRATION = (
  'bytes32 merchantId,bytes32 legalEntityHash,string displayName,bytes2 country,uint16 mcc,' +
  'bytes32 acquirerId,address settlementAccount,uint64 payerPolicyId,bool autoRoute'
)
  .split(',')
  .map(field);
const AUTHORIZATION =
  'address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce'
    .split(',')
    .map(field);

type Foretold = {
  succeeded: boolean;
  movements: { kind: string; amount: string }[];
  order: { state: string };
};

type Summed = { token: string; available: string; held: string; supply: string };

describe('an order on four validators', { timeout: 300_000 }, () => {
  let net: Devnet;
  let id: Hex = zeroHash;

  before(async () => {
    net = await Devnet.start();
  });
  after(() => net.destroy());

  const clients = (index: number, from: Account) => viemClients(net, index, from);
  const send = async (
    index: number,
    from: Account,
    [contract, functionName, args]: readonly [{ address: Hex; abi: unknown }, string, unknown[]],
  ) => {
    const { client, wallet } = clients(index, from);
    const call = { address: contract.address, abi: contract.abi as Abi, functionName, args };
    const hash = await wallet.writeContract(call);
    const receipt = await client.waitForTransactionReceipt({ hash });
    assert.equal(receipt.status, 'success', functionName);
    return receipt;
  };
  const domainOf = (name: string, verifyingContract: Hex) => ({
    ...{ name, version: '1', chainId: net.ready.chainId, verifyingContract },
  });
  const balance = (of: Account, functionName = 'balanceOf', index = 3) =>
    clients(index, of).client.readContract({
      ...{ address: euro, abi: tokenAbi as Abi, functionName, args: [of.address] },
    }) as Promise<bigint>;
  const stateAt = async (index: number) =>
    (await rpc<{ state: string } | null>(net.ready.rpc[index] ?? '', 'mpbp_getOrder', [id]))?.state;

  it('is for a merchant that its acquirer has registered, with its word', async () => {
    const merchant = {
      ...{ merchantId: word('shop'), legalEntityHash: word('Shop Ltd'), displayName: 'The Shop' },
      ...{ country: '0x4445' as Hex, mcc: 5_411, acquirerId: memberIdOf('member-1') },
      ...{ settlementAccount: shop.address, payerPolicyId: 1n, status: 0, autoRoute: true },
    };
    const signature = await shop.signTypedData({
      domain: domainOf('MPBP MerchantRegistry', merchantRegistry.address),
      types: { MerchantRegistration: REGISTRATION },
      primaryType: 'MerchantRegistration',
      message: merchant,
    });
    await send(0, acquirer, [merchantRegistry, 'registerMerchant', [merchant, signature]]);
  });

  it('is asked for by the merchant, and paid by what the customer signs', async () => {
    const { timestamp } = await clients(1, shop).client.getBlock();
    const terms = {
      ...{ merchantId: word('shop'), orderRef: word('order 1'), token: euro },
      ...{ amount: euros('40'), payer: zeroAddress as Hex, channelId: word('TOKEN') },
      ...{ captureMode: 1, payBy: Number(timestamp) + 600, captureBy: Number(timestamp) + 1_200 },
      ...{ refundBy: Number(timestamp) + 1_800, maxFeeBps: 0, metadataHash: zeroHash, salt: 1n },
    };
    const order = {
      domain: domainOf('MPBP PaymentOrders', paymentOrders.address),
      types: { OrderTerms: TERMS },
      primaryType: 'OrderTerms' as const,
      message: terms,
    };
    id = hashTypedData(order);
    const signature = await shop.signTypedData(order);
    await send(1, courier, [paymentOrders, 'createOrder', [terms, signature]]);
    const message = {
      ...{ from: customer.address, to: paymentOrders.address as Hex, value: euros('40') },
      ...{ validAfter: 0n, validBefore: timestamp + 600n, nonce: id },
    };
    const paid = await customer.signTypedData({
      domain: domainOf('Euro', euro),
      types: { ReceiveWithAuthorization: AUTHORIZATION },
      primaryType: 'ReceiveWithAuthorization',
      message,
    });
    const args = [id, customer.address, 0n, message.validBefore, paid];
    const abi = paymentOrders.abi as Abi;
    const data = encodeFunctionData({ abi, functionName: 'payWithAuthorization', args });
    const call = { from: courier.address, to: paymentOrders.address, data };
    await eventually('node 3 knows what will come of it', async () => {
      const foretold = await rpc<Foretold>(net.ready.rpc[3] ?? '', 'mpbp_simulateOrder', [call]);
      if (!foretold.succeeded) return false;
      assert.deepEqual([foretold.order.state, foretold.movements[0]?.kind], ['AUTHORIZED', 'hold']);
      assert.equal(BigInt(foretold.movements[0]?.amount ?? 0), euros('40'));
      return true;
    });
    await send(2, courier, [paymentOrders, 'payWithAuthorization', args]);
    await eventually('every node has it', async () => {
      const states = await Promise.all([0, 1, 2, 3].map(stateAt));
      return states.every((state) => state === 'AUTHORIZED');
    });
    assert.equal(await balance(customer, 'balanceOnHold'), euros('40'), 'in the own account');
    assert.equal(await balance(shop), euros('1000000'));
  });

  it('goes on while a validator is down: captured in part, the rest released', async () => {
    net.kill(2);
    await send(0, shop, [paymentOrders, 'capture', [id, euros('25')]]);
    await send(1, shop, [paymentOrders, 'voidOrder', [id]]);
    await eventually('node 3 has it', async () => (await stateAt(3)) === 'SETTLED');
    assert.equal(await balance(customer, 'balanceOnHold'), 0n);
    assert.equal(await balance(customer), euros('999975'));
    assert.equal(await balance(shop), euros('1000025'));
  });

  it('is refunded to whoever paid, and the validator that was down agrees', async () => {
    await send(3, shop, [paymentOrders, 'refund', [id, euros('5'), zeroHash]]);
    net.restart(2);
    await eventually('node 2 is back', async () => {
      return (await balance(customer, 'balanceOf', 2).catch(() => 0n)) === euros('999980');
    });
    type Order = { refunded: Hex; captured: Hex; payer: Hex; currency: string };
    const order = await rpc<Order>(net.ready.rpc[2] ?? '', 'mpbp_getOrder', [id]);
    assert.deepEqual(
      [BigInt(order.captured), BigInt(order.refunded), order.payer, order.currency],
      [euros('25'), euros('5'), customer.address, 'EUR'],
    );
  });

  it('leaves records that an auditor finds sound', async () => {
    net.killRestarted();
    await net.stop();
    for (const dataDir of net.ready.dataDirs) {
      const { code, stdout, stderr } = await run(['audit', 'replay', dataDir, '--json']);
      assert.equal(code, 0, stdout + stderr);
      const { currencies } = JSON.parse(stdout) as { currencies: Summed[] };
      const ours = currencies.find(({ token }) => token === euro);
      assert.deepEqual([ours?.held, ours?.supply], ['0', ours?.available]);
    }
    const told = await run(['audit', 'replay', net.ready.dataDirs[0] ?? '']);
    assert.match(told.stdout, /EUR +\d+\.00 issued and not burned: \d+\.00 available, 0\.00 held/);
  });
});
