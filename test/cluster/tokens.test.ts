/** Currencies on four real validators, by viem, by ethers and by a Solidity contract, unchanged. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Contract, HDNodeWallet, JsonRpcProvider } from 'ethers';
import {
  type Abi,
  type BaseError,
  ContractFunctionRevertedError,
  erc20Abi,
  getAddress,
  getContract,
  type Hex,
  type LocalAccount,
  parseEventLogs,
  parseSignature,
  parseUnits,
  toHex,
} from 'viem';
import { generatePrivateKey, mnemonicToAccount, privateKeyToAccount } from 'viem/accounts';
import { feeManager } from '#src/ledger/payments/fees/feeManager.ts';
import { genesisTokenAddress } from '#src/ledger/payments/founding.ts';
import { tokenAbi } from '#src/ledger/payments/tokens/tokenAbi.ts';
import { compile } from '../solidity.ts';
import { Devnet, eventually, rpc, run } from './devnet.ts';
import { viemClients } from './viemClients.ts';

const words = 'test test test test test test test test test test test junk';
const [alice, bob, carol] = [0, 1, 2].map((addressIndex) =>
  mnemonicToAccount(words, { addressIndex }),
) as [Account, Account, Account];
type Account = ReturnType<typeof mnemonicToAccount>;
const euro: Hex = genesisTokenAddress('EUR', 'member-0');
const dollar: Hex = genesisTokenAddress('USD', 'member-0');
const euros = (text: string) => parseUnits(text, 6);

describe('currencies on four validators', { timeout: 300_000 }, () => {
  const shop = compile('test/cluster/Shop.sol', 'Shop');
  let net: Devnet;
  let shopAt: Hex = '0x';

  before(async () => {
    net = await Devnet.start();
  });
  after(() => net.destroy());

  const clients = (index: number, account: LocalAccount) => {
    const { client, wallet } = viemClients(net, index, account);
    const done = async (hash: Hex) => {
      const receipt = await client.waitForTransactionReceipt({ hash });
      assert.equal(receipt.status, 'success');
      return receipt;
    };
    return { wallet, client, done };
  };
  const balance = (token: Hex, { address }: LocalAccount, index = 3) =>
    clients(index, alice).client.readContract({
      ...{ address: token, abi: erc20Abi, functionName: 'balanceOf', args: [address] },
    });
  const domain = (token: Hex) => ({
    ...{ name: token === euro ? 'Euro' : 'US Dollar', version: '1' },
    ...{ chainId: net.ready.chainId, verifyingContract: token },
  });

  it('viem reads and pays them with the ABI that every token has', async () => {
    const { wallet, client, done } = clients(0, alice);
    const token = getContract({ address: euro, abi: erc20Abi, client: { public: client, wallet } });
    assert.deepEqual(await Promise.all([token.read.name(), token.read.symbol()]), ['Euro', 'EUR']);
    assert.equal(await token.read.decimals(), 6);
    const supply = await token.read.totalSupply();
    assert.equal(supply, euros('10000000'));
    const receipt = await done(await token.write.transfer([bob.address, euros('12.34')]));
    // The money that was paid, and the fee, which is in euros, too.
    const parties = parseEventLogs({ abi: erc20Abi, eventName: 'Transfer', logs: receipt.logs });
    assert.deepEqual(
      parties.map(({ args }) => args.to),
      [bob.address, getAddress(feeManager.address)],
    );
    await eventually('bob has it', async () => {
      return (await balance(euro, bob)) === euros('1000012.34');
    });
    assert.equal(await balance(dollar, bob), euros('1000000'), 'and no other currency');
    const tooMuch = token.simulate.transfer([bob.address, supply], { account: alice });
    await assert.rejects(tooMuch, (error: BaseError) => {
      const reverted = error.walk((inner) => inner instanceof ContractFunctionRevertedError);
      assert.ok(reverted instanceof ContractFunctionRevertedError);
      return /insufficient balance|0xe450d38c/.test(error.message);
    });
  });

  it('viem names what is wrong by the errors of the ABI', async () => {
    const { client } = clients(1, alice);
    const call = { address: euro, abi: tokenAbi, account: bob } as const;
    const args = [carol.address, 1n, toHex('memo', { size: 32 })] as const;
    const minting = client.simulateContract({ ...call, functionName: 'mintWithMemo', args });
    await assert.rejects(minting, (error: BaseError) => {
      const reverted = error.walk((inner) => inner instanceof ContractFunctionRevertedError);
      assert.ok(reverted instanceof ContractFunctionRevertedError);
      return reverted.data?.errorName === 'AccessControlUnauthorizedAccount';
    });
  });

  it('ethers pays, hears of it, and pays for another who allowed it', async () => {
    // It keeps answers for a quarter of a second, nonces too.
    const options = { pollingInterval: 50, cacheTimeout: -1 };
    const provider = new JsonRpcProvider(net.ready.rpc[2], undefined, options);
    const signer = (index: number) =>
      HDNodeWallet.fromPhrase(words, undefined, `m/44'/60'/0'/0/${index}`).connect(provider);
    const abi = [
      'function transfer(address,uint256) returns (bool)',
      'function approve(address,uint256) returns (bool)',
      'function transferFrom(address,address,uint256) returns (bool)',
      'function balanceOf(address) view returns (uint256)',
      'event Transfer(address indexed from, address indexed to, uint256 value)',
    ];
    try {
      const asBob = new Contract(dollar, abi, signer(1));
      const asCarol = new Contract(dollar, abi, signer(2));
      const paid = await (await asBob.getFunction('transfer')(carol.address, 5n)).wait();
      const filter = asBob.filters.Transfer?.(bob.address, carol.address);
      const heard = await asBob.queryFilter(filter ?? assert.fail('an event'), paid.blockNumber);
      assert.equal(heard.length, 1);
      await (await asBob.getFunction('approve')(carol.address, 7n)).wait();
      const take = asCarol.getFunction('transferFrom');
      const taken = await (await take(bob.address, carol.address, 7n)).wait();
      const fee = BigInt(taken.logs.at(-1).data);
      assert.ok(fee > 0n && fee < euros('0.01'), `${fee}`);
      const owned = await asCarol.getFunction('balanceOf')(carol.address);
      assert.equal(owned, euros('1000000') + 12n - fee);
      await assert.rejects(take(bob.address, carol.address, 1n), { code: 'CALL_EXCEPTION' });
    } finally {
      provider.destroy();
    }
  });

  it('who holds only euros pays the fee in euros, and sends all that is left', async () => {
    const customer = privateKeyToAccount(generatePrivateKey());
    const bank = clients(0, alice);
    const pay = { address: euro, abi: erc20Abi, functionName: 'transfer' } as const;
    const given = { ...pay, args: [customer.address, euros('5')] as const };
    await bank.done(await bank.wallet.writeContract(given));
    await eventually('has it', async () => (await balance(euro, customer)) === euros('5'));
    const { client, wallet, done } = clients(1, customer);
    const first = await wallet.writeContract({ ...pay, args: [bob.address, euros('2')] });
    const { gasUsed, effectiveGasPrice } = await done(first);
    const [rate] = (await client.readContract({
      ...{ address: feeManager.address, abi: feeManager.abi as Abi },
      ...{ functionName: 'feeRate', args: [euro] },
    })) as [bigint, number];
    const feeFor = (gas: bigint) => (gas * rate + 10n ** 18n - 1n) / 10n ** 18n;
    const left = euros('3') - feeFor(gasUsed);
    assert.equal(await balance(euro, customer, 1), left);
    assert.equal(effectiveGasPrice, 0n, 'no coin was taken for it');
    // As a wallet does: what it costs, then all but that.
    const almost = { ...pay, args: [bob.address, left - euros('0.01')] as const };
    const gas = await client.estimateContractGas({ ...almost, account: customer });
    const all = { ...pay, args: [bob.address, left - feeFor(gas)] as const, gas };
    await done(await wallet.writeContract(all));
    assert.equal(await balance(euro, customer, 1), 0n);
    assert.equal(await client.getBalance({ address: customer.address }), 0n);
    const broke = wallet.writeContract({ ...pay, args: [bob.address, 0n], gas });
    await assert.rejects(broke, /insufficient funds/);
  });

  it('a shop in Solidity takes a permit and the money in one transaction', async () => {
    const { wallet, client, done } = clients(0, alice);
    const { abi, bytecode } = shop;
    const receipt = await done(await wallet.deployContract({ abi, bytecode }));
    shopAt = receipt.contractAddress ?? assert.fail('an address');
    const customer = clients(0, bob);
    const deadline = (await client.getBlock()).timestamp + 600n;
    const price = euros('99.90');
    const signature = await bob.signTypedData({
      domain: domain(euro),
      types: {
        Permit: [
          { name: 'owner', type: 'address' },
          { name: 'spender', type: 'address' },
          { name: 'value', type: 'uint256' },
          { name: 'nonce', type: 'uint256' },
          { name: 'deadline', type: 'uint256' },
        ],
      },
      primaryType: 'Permit',
      message: { owner: bob.address, spender: shopAt, value: price, nonce: 0n, deadline },
    });
    const { r, s, v } = parseSignature(signature);
    const item = toHex('a chair', { size: 32 });
    const before = await balance(euro, alice, 0);
    const call = { address: shopAt, abi, functionName: 'buy' } as const;
    const args = [euro, item, price, deadline, v, r, s];
    await customer.done(await customer.wallet.writeContract({ ...call, args }));
    assert.equal(await balance(euro, alice, 0), before + price);
    const paidBy = { address: shopAt, abi, functionName: 'paidBy', args: [item] } as const;
    assert.equal(await client.readContract(paidBy), bob.address);
  });

  it('a customer signs in a browser, and somebody else submits and pays the gas', async () => {
    const { wallet, client, done } = clients(0, alice);
    const validBefore = (await client.getBlock()).timestamp + 600n;
    const [item, value] = [toHex('a table', { size: 32 }), euros('250')];
    const message = {
      ...{ from: carol.address, to: shopAt, value, validAfter: 0n, validBefore, nonce: item },
    };
    const signature = await carol.signTypedData({
      domain: domain(dollar),
      types: {
        ReceiveWithAuthorization: [
          { name: 'from', type: 'address' },
          { name: 'to', type: 'address' },
          { name: 'value', type: 'uint256' },
          { name: 'validAfter', type: 'uint256' },
          { name: 'validBefore', type: 'uint256' },
          { name: 'nonce', type: 'bytes32' },
        ],
      },
      primaryType: 'ReceiveWithAuthorization',
      message,
    });
    const coin = await client.getBalance({ address: carol.address });
    const before = await balance(dollar, alice, 0);
    const call = { address: shopAt, abi: shop.abi, functionName: 'buyFor' } as const;
    const args = [dollar, carol.address, item, value, validBefore, signature];
    await done(await wallet.writeContract({ ...call, args }));
    assert.equal(await balance(dollar, alice, 0), before + value);
    assert.equal(await client.getBalance({ address: carol.address }), coin, 'not a wei of hers');
    const again = client.simulateContract({ ...call, args, account: alice });
    await assert.rejects(again, 'a signature pays once');
  });

  it('has a history by account that adds up to its balance', async () => {
    const url = net.ready.rpc[0] ?? '';
    for (const person of [alice, bob, carol]) {
      type Entry = { token: Hex | null; kind: string; amount: Hex; fee: Hex; memo: Hex };
      const params = [person.address, null, 100];
      const { entries } = await rpc<{ entries: Entry[] }>(url, 'mpbp_getAccountHistory', params);
      for (const token of [euro, dollar]) {
        const own = entries.filter((entry) => entry.token === token);
        const sum = own.reduce((total, { kind, amount, fee }) => {
          const isIncome = kind === 'received' || kind === 'genesis';
          return isIncome ? total + BigInt(amount) : total - BigInt(amount) - BigInt(fee);
        }, 0n);
        assert.equal(sum, await balance(token, person, 0), `${person.address} ${token}`);
      }
      assert.ok(entries.some(({ token }) => token !== null));
    }
  });

  it('leaves records that an auditor finds sound', async () => {
    await net.stop();
    for (const dataDir of net.ready.dataDirs) {
      const { code, stdout, stderr } = await run(['audit', 'replay', dataDir, '--json']);
      assert.equal(code, 0, stdout + stderr);
    }
  });
});
