import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Config } from '../../bin/config.ts';
import { rpcOptions } from '../../bin/settings.ts';
import { FakeBackend } from '../rpc/fakeBackend.ts';

it('a node is ready with a quorum, room on its disk, and a head that is near and fresh', () => {
  const backend = new FakeBackend([]);
  const { header } = backend.head;
  const ageMs = Date.now() - header.consensus.timestampMs;
  const present = new Set(backend.electorate.set.validators.map(({ peerId }) => peerId));
  const scene = { heartbeatMs: ageMs, isFull: false };
  const ready = (demands = { minPeers: 1, maxBlocksBehind: 2 }) => {
    const network = { peerId: 'own', isConnected: (peer: string) => present.has(peer) };
    const genesis = { config: { heartbeatMs: scene.heartbeatMs } };
    const room = { look: () => (scene.isFull ? 'full' : null) };
    const options = rpcOptions(
      {} as Config,
      ...([genesis, backend, network, room] as never as Rest),
    );
    return options.ready(demands);
  };
  type Rest = [
    Parameters<typeof rpcOptions>[1],
    Parameters<typeof rpcOptions>[2],
    Parameters<typeof rpcOptions>[3],
    Parameters<typeof rpcOptions>[4],
  ];
  assert.equal(ready().ready, true, JSON.stringify(ready()));
  assert.equal(ready({ minPeers: 2, maxBlocksBehind: 2 }).ready, false);
  backend.blocksBehind = 3;
  assert.equal(ready().ready, false);
  assert.equal(ready({ minPeers: 1, maxBlocksBehind: 3 }).ready, true);
  backend.blocksBehind = 0;
  scene.isFull = true;
  assert.equal(ready().ready, false);
  scene.isFull = false;
  // Whoever withholds blocks cannot make a head look new.
  scene.heartbeatMs = Math.floor(ageMs / 4);
  const stale = ready();
  assert.equal(stale.ready, false);
  assert.ok(Number(stale.checks.headAgeSeconds) > 0);
  scene.heartbeatMs = ageMs;
  const [first, second] = present;
  for (const gone of [first, second]) present.delete(gone ?? '');
  assert.equal(ready().ready, false, 'two of four');
  assert.equal(ready().checks.quorumConnected, false);
});
