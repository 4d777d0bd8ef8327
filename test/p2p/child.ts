/** Run by network.test.ts in a process of its own, to be killed or to end by itself. */
import { idOf, openNode, openPair } from './harness.ts';

const [mode, number, peerId, address] = process.argv.slice(2);
if (mode === 'serve') {
  const peers = [{ peerId: peerId as string, addresses: [address as string] }];
  const node = await openNode(Number(number), { allowed: [peerId as string], peers });
  setInterval(() => node.network.broadcast('transactions', new Uint8Array(100_000)), 1);
} else {
  const absent = { peerId: idOf(3), addresses: ['/ip4/127.0.0.1/tcp/1'] };
  const [a, b] = await openPair({ peers: [absent], onRequest: () => new Promise(() => {}) });
  void b.network.request(a.peerId, Uint8Array.of(1), 60_000);
  a.network.broadcast('consensus', new Uint8Array(1_000_000));
  const startMs = performance.now();
  await Promise.all([a.network.close(), b.network.close()]);
  if (performance.now() - startMs > 2000) process.exitCode = 1;
  // If anything were left open, the parent's patience would end instead of this process.
}
