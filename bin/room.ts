import { existsSync, statSync } from 'node:fs';
import type { Engine } from '#consensus/engine/engine.ts';
import type { Network } from '#p2p/network.ts';
import type { Log } from '#src/lib/log.ts';
import { Room } from '#storage/room.ts';
import type { Config } from './config.ts';
import type { DataDir } from './dataDir.ts';

/** What a client is told whose payment a node without room cannot promise. */
export const diskFullRefusal = {
  code: 'DISK_FULL',
  message: "the node's disk is full: it answers, but takes no payment; send it to another node",
} as const;

/** The room of a data directory. Agreement stands still without it, and then begins where it was. */
export function openRoom(
  dir: DataDir,
  config: Pick<Config, 'storage.reserveMebibytes'>,
  log: Log,
  parts: () => { engine: Engine; network: Network },
): Room {
  return new Room({
    paths: fileSystemsOf(dir),
    reserveBytes: config['storage.reserveMebibytes'] * 1024 ** 2,
    onFull: (reason) => {
      const remedy = 'make room there: the node goes on by itself; until then it only answers';
      log.error('disk full: no vote, no block, no payment', { reason, remedy });
    },
    onRoom: () => {
      log.info('room on the disk again: goes on');
      const { engine, network } = parts();
      engine.start();
      for (const { peerId, connection } of network.peers()) {
        if (connection !== null) engine.peerConnected(peerId);
      }
    },
  });
}

/** Parts of a data directory may be links to other disks. */
function fileSystemsOf({ path, chain, consensus, pool }: DataDir): string[] {
  const devices = new Map<number, string>();
  for (const part of [path, chain, consensus, pool]) {
    if (!existsSync(part)) continue;
    const { dev } = statSync(part);
    if (!devices.has(dev)) devices.set(dev, part);
  }
  return [...devices.values()];
}
