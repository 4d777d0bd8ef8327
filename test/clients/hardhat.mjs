/** `hardhat run hardhat.mjs --network mpbp`: compiled, deployed, paid through and read by Hardhat. */
import assert from 'node:assert/strict';
import hre from 'hardhat';

const { provider } = await hre.network.connect();
const call = (method, ...params) => provider.request({ method, params });
const { abi, bytecode } = await hre.artifacts.readArtifact('Tally');
assert.equal(abi.some(({ name }) => name === 'pay'), true);

const [from] = await call('eth_accounts');
assert.equal(await call('eth_chainId'), '0x1a47');
const mined = async (hash) => {
  for (let tried = 0; tried < 200; tried++) {
    const receipt = await call('eth_getTransactionReceipt', hash);
    if (receipt !== null) return receipt;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return assert.fail(`no receipt of ${hash}`);
};

// Hardhat signs, fills in nonce, gas and fees by its own questions to the node.
const deployed = await mined(await call('eth_sendTransaction', { from, data: bytecode }));
assert.equal(deployed.status, '0x1');
const to = deployed.contractAddress;
const [total, pay, refuse] = ['0x2ddbd13a', '0x2b66d72e', '0x62c69b80'];
const word = (text) => text.replace('0x', '').padStart(64, '0');
const memo = `${word('0x20')}${word('0x2')}${'6869'.padEnd(64, '0')}`;
const paid = await call('eth_sendTransaction', { from, to, data: `${pay}${memo}`, value: '0x9' });
const receipt = await mined(paid);
assert.equal(receipt.logs.length, 1);
assert.equal(await call('eth_call', { to, data: total }, 'latest'), `0x${word('0x9')}`);
const before = `0x${(BigInt(receipt.blockNumber) - 1n).toString(16)}`;
assert.equal(await call('eth_call', { to, data: total }, before), `0x${word('0x0')}`);
await assert.rejects(call('eth_call', { from, to, data: refuse }), /not today/);
await assert.rejects(call('eth_sendTransaction', { from, to, data: refuse }), /not today/);
await assert.rejects(
  call('eth_sendTransaction', { from, to, value: `0x${(10n ** 40n).toString(16)}` }),
  /insufficient funds/,
);
process.stdout.write('Hardhat: all seen\n');
