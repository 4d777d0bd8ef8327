/** All wiring, and nothing else. */
import { answerBytesMax } from '#consensus/engine/catchUp.ts';
import { Engine } from '#consensus/engine/engine.ts';
import type { Signer } from '#consensus/engine/ports.ts';
import { DEFAULT_LIMITS, Network } from '#p2p/network.ts';
import { Chain } from '#src/chain/chain.ts';
import { chainOf } from '#src/chain/genesisChain.ts';
import { Feed } from '#src/feed/feed.ts';
import { concatBytes, utf8 } from '#src/lib/bytes.ts';
import { systemClock } from '#src/lib/clock.ts';
import type { Log } from '#src/lib/log.ts';
import { Pool } from '#src/pool/pool.ts';
import { Relay } from '#src/pool/relay.ts';
import type { Senders } from '#src/pool/senders.ts';
import { Submissions } from '#src/pool/submissions.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { AppendLog } from '#storage/appendLog.ts';
import { ShelfChainStore } from '#storage/chainStore.ts';
import { LevelShelf } from '#storage/levelShelf.ts';
import { AdminServer } from './adminServer.ts';
import { makeBackend } from './backend.ts';
import type { Config } from './config.ts';
import type { DataDir } from './dataDir.ts';
import { EvidenceLog } from './evidence.ts';
import { Intake } from './intake.ts';
import { ledgerPort } from './ledgerPort.ts';
import { logMetric } from './logger.ts';
import { netPort, relayNet } from './netPort.ts';
import type { NodeAudit } from './nodeAudit.ts';
import type { NodeKeys } from './nodeKeys.ts';
import { Peers, touchesMembership } from './peers.ts';
import { openRoom } from './room.ts';
import { poolCover, poolLimits, poolRules, timing } from './settings.ts';
import { Surfaces } from './surfaces.ts';

export type Node = {
  readonly rpcPort: number;
  readonly peerId: string;
  readonly chain: Chain;
  stop(): Promise<void>;
};

export async function assemble(options: {
  dir: DataDir;
  keys: NodeKeys;
  signers: readonly Signer[];
  senders: Senders;
  /** The operator answers for it that the journal lacks no signature. */
  acceptJournal: boolean;
  config: Config;
  audit: NodeAudit;
  log: Log;
  onFatal(error: Error): void;
}): Promise<Node> {
  const { dir, keys, signers, senders, config, audit, log, onFatal } = options;
  const params = chainOf(dir.genesis);
  const room = openRoom(dir, config, log, () => ({ engine, network }));
  const shelf = await LevelShelf.open(dir.chain, { room, onBroken: onFatal });
  const store = await ShelfChainStore.open(shelf, config['storage.archive']);
  const feed = new Feed(log.child('feed'));
  const chain: Chain = await Chain.open({
    params,
    store,
    known: (hash) => pool.get(hash) ?? senders.takeFound(hash),
    onFinal: (event) => {
      intake.settle(event);
      feed.publish(event);
      if (touchesMembership(event)) {
        peers.refresh(store);
        network.setPeers(peers.dialled);
      }
    },
  });
  const now = () => systemClock.now();
  // Both ask each other: whoever is made first finds the other when it is asked.
  const theNetwork = () => network;
  const pool: Pool = new Pool({
    limits: poolLimits(config),
    rules: poolRules(params.rules),
    account: (address) => chain.account(address) ?? { nonce: 0n, balance: 0n },
    coverOf: poolCover(chain, store, () => systemClock.wall()),
    now,
  });
  const submissionLog = AppendLog.open(dir.pool, room);
  const submissions = new Submissions(submissionLog.log);
  const pending = new Set<(transaction: SignedTransaction) => void>();
  const relay = new Relay(relayNet(theNetwork), pool, now);
  const evidence = EvidenceLog.open(dir.evidence, chain, log.child('consensus'), room);
  const journal = AppendLog.open(dir.consensus, room);
  const engine: Engine = new Engine({
    networkId: params.electorate.networkId,
    timing: timing(dir.genesis),
    unfinalizedMax: config['consensus.unfinalizedMax'],
    signers,
    ledger: ledgerPort(chain, pool, senders, log.child('chain')),
    net: netPort(theNetwork, () => relay),
    clock: systemClock,
    log: log.child('consensus'),
    journal: { ...journal, seqMin: chain.journalSeq, isAccepted: options.acceptJournal },
    onMetric: evidence.watch(logMetric(log.child('consensus'))),
    isStalled: () => room.isFull,
    onFatal,
  });
  const waiting = { pool, relay, submissions, senders, room };
  const intake = new Intake({ ...waiting, chain, engine, pending, log, onFatal });
  intake.resume(submissionLog.records, submissionLog.log.lastSeq);
  const peers = new Peers(config, keys, store);
  const network: Network = await Network.open({
    identitySeed: keys.networkSeed,
    listen: config['p2p.listen'],
    peers: peers.dialled,
    allowed: () => peers.allowed,
    essential: () => peers.essential,
    hello: concatBytes(utf8('mpbp/1'), params.electorate.networkId),
    limits: { ...DEFAULT_LIMITS, responseBytesMax: answerBytesMax },
    log: log.child('p2p'),
    onMessage: (channel, from, message) => {
      if (channel === 'consensus') engine.receive(from, message);
      else intake.relayed(message, (penalty, why) => network.penalize(from, penalty, why));
    },
    onRequest: (_from, request) => engine.answer(request),
    onPeer: (peer, connected) => {
      if (!connected) return;
      engine.peerConnected(peer);
      relay.greet(peer);
    },
  });
  engine.start();
  const shown = { chain, pool, engine, network, feed, evidence, signers, pending, room };
  const backend = makeBackend({ ...shown, submit: (raw) => intake.submit(raw) });
  const { path: dataDir, genesis } = dir;
  const doors = { dataDir, genesis, config, backend, network, room, log };
  const surfaces = await Surfaces.open(doors);
  const admin = await AdminServer.open(dir, shelf, audit, log.child('admin'));
  return {
    rpcPort: surfaces.port,
    peerId: network.peerId,
    chain,
    stop: async () => {
      const agreement = { close: () => engine.stop() };
      const written = [agreement, network, submissions, evidence, store];
      // What waits for room was promised to nobody.
      const parts = [surfaces, admin, ...(room.isFull ? [network] : written)];
      for (const part of parts) await part?.close();
    },
  };
}
