/** web3.js 4 against a node: `node web3.mjs URL KEY ARTIFACT`. Prints what it saw, or throws. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Web3 } from 'web3';

const [url, key, artifact] = process.argv.slice(2);
const { abi, bytecode } = JSON.parse(readFileSync(artifact, 'utf8'));
const web3 = new Web3(url);
web3.eth.transactionPollingInterval = 50;
const account = web3.eth.accounts.wallet.add(key)[0];
const from = account.address;
const payee = '0x00000000000000000000000000000000000abcde';

// Connect and read.
assert.equal(await web3.eth.getChainId(), 6727n);
assert.ok((await web3.eth.getBalance(from)) > 0n);
assert.equal((await web3.eth.getBlock('latest')).transactions?.length >= 0, true);

// Send value.
const paid = await web3.eth.sendTransaction({ from, to: payee, value: 5n });
assert.equal(paid.status, 1n);
assert.equal(await web3.eth.getBalance(payee), 5n);

// Fees.
const fees = await web3.eth.calculateFeeData();
assert.ok(fees.baseFeePerGas > 0n && fees.maxFeePerGas > 0n);

// Deploy, call, events.
const tally = await new web3.eth.Contract(abi).deploy({ data: bytecode }).send({ from });
const estimate = await tally.methods.pay('hello').estimateGas({ from, value: '7' });
const receipt = await tally.methods.pay('hello').send({ from, value: '7', gas: `${estimate}` });
assert.equal(receipt.events.Paid.returnValues.memo, 'hello');
assert.equal(await tally.methods.total().call(), 7n);
const events = await tally.getPastEvents('Paid', { fromBlock: receipt.blockNumber });
assert.equal(events[0].returnValues.amount, 7n);

// Reverts, with their reasons.
const failure = async (work) => {
  try {
    await work();
  } catch (error) {
    return error;
  }
  return assert.fail('it should have failed');
};
const refused = await failure(() => tally.methods.refuse().call({ from }));
assert.equal(refused.constructor.name, 'ContractExecutionError');
assert.match(refused.cause.message, /not today/);
const named = await failure(() => tally.methods.refuseByName(9).call({ from }));
assert.equal(named.cause.errorName, 'Nope');
assert.equal(named.cause.errorArgs.code, 9n);

// Its words for what the pool refuses.
const raw = async (fields) => {
  const all = { from, to: payee, value: 1n, gas: 21_000n, chainId: 6727n, ...fields };
  const fee = { maxFeePerGas: 2_000_000_000n, maxPriorityFeePerGas: 0n, type: 2n };
  const signed = await web3.eth.accounts.signTransaction({ ...fee, ...all }, key);
  // Else it asks by a call first, and says only that.
  const options = { checkRevertBeforeSending: false };
  return web3.eth.sendSignedTransaction(signed.rawTransaction, undefined, options);
};
const nonce = await web3.eth.getTransactionCount(from);
assert.match((await failure(() => raw({ nonce: 0n }))).message, /nonce too low/);
assert.match((await failure(() => raw({ nonce, value: 10n ** 40n }))).message, /insufficient funds/);
// Too little gas it finds by itself.
assert.match((await failure(() => raw({ nonce, gas: 20_000n }))).message, /gasLimit is too low/);

// Watch by WebSocket.
const socket = new Web3(url.replace('http', 'ws'));
socket.eth.accounts.wallet.add(key);
const heads = await socket.eth.subscribe('newBlockHeaders');
const logs = await socket.eth.subscribe('logs', { address: tally.options.address });
const head = new Promise((resolve) => heads.on('data', resolve));
const log = new Promise((resolve) => logs.on('data', resolve));
await tally.methods.pay('watched').send({ from, value: '1' });
assert.ok((await head).number > receipt.blockNumber);
assert.equal((await log).address.toLowerCase(), tally.options.address.toLowerCase());
await socket.currentProvider.disconnect();
process.stdout.write('web3.js: all seen\n');
process.exit(0);
