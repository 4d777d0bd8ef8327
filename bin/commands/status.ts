import { Command } from 'commander';
import { Client, defaultRpc } from '../client.ts';
import { makeOutput, printable, table } from '../output.ts';

/** As `mpbp_nodeStatus` gives it. */
type Status = {
  version: string;
  peerId: string;
  validator: string | null;
  epoch: string;
  recalling: boolean;
  consensusKeys: string[];
  height: string;
  view: string;
  finalizedView: string;
  leader: string;
  suspects: string[];
  unfinalizedBlocks: string;
  blocksBehind: string;
  poolTransactions: string;
  cryptoBackend: string;
  uptimeMs: string;
  diskFull: string | null;
  peers: {
    peerId: string;
    address: string;
    direction: string;
    connectedSinceMs: string;
    validator: string | null;
  }[];
};

type Options = { rpc: string; json: boolean };

export function statusCommand(): Command {
  return new Command('status')
    .description('what a node is doing')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp status --rpc http://127.0.0.1:8546')
    .action(async (options: Options) => {
      const status = await new Client(options.rpc).call<Status>('mpbp_nodeStatus');
      makeOutput(options.json).result(status, describe(status));
    });
}

export function peersCommand(): Command {
  return new Command('peers')
    .description('whom a node is connected to')
    .option('--rpc <url>', 'a node', defaultRpc)
    .option('--json', 'print one JSON document', false)
    .addHelpText('after', '\nExample:\n  $ mpbp peers')
    .action(async (options: Options) => {
      const { peers } = await new Client(options.rpc).call<Status>('mpbp_nodeStatus');
      const rows = peers.map((peer) => [
        peer.validator === null ? 'observer' : `validator ${number(peer.validator)}`,
        printable(peer.peerId),
        printable(peer.address),
        peer.direction,
        `since ${new Date(number(peer.connectedSinceMs)).toISOString().slice(0, 19)}`,
      ]);
      makeOutput(options.json).result(peers, rows.length === 0 ? 'no peers' : table(rows));
    });
}

function describe(status: Status): string {
  const { validator, suspects } = status;
  const gap = number(status.view) - number(status.finalizedView);
  const isVoting = status.recalling ? ', asks what it signed before it signs again' : '';
  const role =
    validator === null ? 'follows, does not vote' : `validator ${number(validator)}${isVoting}`;
  const { diskFull } = status;
  const behind = number(status.blocksBehind);
  const rows = [
    ['role', role],
    ...(diskFull === null ? [] : [['disk full', `${diskFull}; make room, it goes on by itself`]]),
    ['version', status.version],
    ['peer id', status.peerId],
    ['consensus keys', status.consensusKeys.join(' ')],
    ['epoch', `${number(status.epoch)}`],
    ['height', `${number(status.height)}`],
    ['view', `${number(status.view)}, leader is validator ${number(status.leader)}`],
    ['finality', gap <= 3 ? 'keeps up' : `${gap} views behind: no quorum answers in time`],
    ['silent leaders', suspects.length === 0 ? 'none' : suspects.map(number).join(', ')],
    ...(behind === 0 ? [] : [['catches up', `${behind} or more final blocks on their way`]]),
    ['not final yet', `${number(status.unfinalizedBlocks)} blocks`],
    ['waiting', `${number(status.poolTransactions)} payments`],
    ['peers', `${status.peers.length}`],
    ['signatures', status.cryptoBackend],
    ['up', `${Math.round(number(status.uptimeMs) / 1000)} s`],
  ];
  return table(rows);
}

function number(quantity: string): number {
  return Number(BigInt(quantity));
}
