import assert from 'node:assert/strict';
import { createPublicClient, defineChain, http } from 'viem';
import { bytesToUint, uintToBytes } from '#src/lib/bytes.ts';
import { createAddress } from '#src/types/createAddress.ts';
import { people } from '../chain/network.ts';
import { probe, World } from '../ledger/evm/world.ts';
import type { Person } from '../ledger/samples.ts';
import { compile } from '../solidity.ts';
import { openWorld } from './harness.ts';

export const [alice, bob] = people as [Person, Person];
export const founders = compile('docs/examples/PaymentContract.sol', 'PaymentContract');
export const probeAt = createAddress(alice.address, 0n);
export const foundersAt = createAddress(alice.address, 1n);
const viewMs = 1_500;

export async function readyChain(): Promise<World> {
  const chain = await World.create();
  await chain.deploy(alice, probe, 10_000n);
  await chain.deploy(alice, founders);
  await chain.block(chain.call(alice, probeAt, 'set', [5n, 77n]));
  return chain;
}

/** The contracts of a real chain behind a server. */
export async function openContracts(
  chain: World,
  ...[limits = {}, ...as]: Parameters<typeof openWorld>
) {
  const world = await openWorld({ viewMs, ...limits }, ...as);
  const state = () => chain.chain.stateAfter(chain.chain.head.hash) ?? assert.fail();
  world.backend.stateAt = () => ({
    account: (address) => state().account(address),
    slot: (address, key) =>
      uintToBytes(bytesToUint(state().slot(address, Buffer.from(key).toString('hex'))), 32),
    code: (hash) => state().code(hash) ?? new Uint8Array(0),
  });
  const client = createPublicClient({
    chain: defineChain({
      ...{ id: 4242, name: 'test', nativeCurrency: { name: 'MPB', symbol: 'MPB', decimals: 18 } },
      rpcUrls: { default: { http: [world.url] } },
    }),
    transport: http(),
  });
  return { world, client };
}
