import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { it } from 'node:test';
import { Interface } from 'ethers';
import { type Abi, encodeFunctionData, zeroHash } from 'viem';
import { EXIT } from '#src/lib/failure.ts';
import { Program } from './program.ts';

it('prints interfaces that viem and ethers read', async () => {
  const program = new Program(tmpdir());
  const run = (...args: string[]) => program.run(...args);
  const whole = await run('abi', 'PaymentOrders');
  const call = { functionName: 'pay', args: [zeroHash] } as const;
  const data = encodeFunctionData({ abi: JSON.parse(whole.stdout) as Abi, ...call });
  const readable = await run('abi', 'PaymentOrders', '--readable');
  const lines = JSON.parse(readable.stdout) as string[];
  assert.equal(new Interface(lines).encodeFunctionData('pay', [zeroHash]), data);
  const token = await run('abi', 'paymenttoken', '--readable');
  assert.match(token.stdout, /function balanceOf\(address account\) view returns \(uint256\)/);
  const names = await run('abi');
  assert.match(names.stdout, /PaymentOrders +0x4D50420000000000000000000000000000000022/);
  const none = await run('abi', 'Nothing');
  assert.equal(none.code, EXIT.usage);
  assert.match(none.stderr, /there are ConsortiumRegistry/);
});
