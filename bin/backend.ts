import type { Engine } from '#consensus/engine/engine.ts';
import type { Signer } from '#consensus/engine/ports.ts';
import type { Network } from '#p2p/network.ts';
import type { Chain } from '#src/chain/chain.ts';
import { makeFinalityProof, makeReceiptProof } from '#src/chain/finalityProofs.ts';
import { secp256k1Backend } from '#src/crypto/secp256k1.ts';
import type { Feed } from '#src/feed/feed.ts';
import { toBareHex } from '#src/lib/bytes.ts';
import type { Pool } from '#src/pool/pool.ts';
import type { Backend, NodeStatus } from '#src/rpc/backend.ts';
import { decodeCertificate } from '#src/types/certificate.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asHeight } from '#src/types/units.ts';
import type { Room } from '#storage/room.ts';
import type { EvidenceLog } from './evidence.ts';
import { VERSION } from './version.ts';

/** How far past a block its certificate is looked for. */
const certificateSearchMax = 64n;

export type BackendParts = {
  readonly chain: Chain;
  readonly pool: Pool;
  readonly engine: Engine;
  readonly network: Network;
  readonly feed: Feed;
  readonly evidence: EvidenceLog;
  /** The consensus keys that this node holds. */
  readonly signers: readonly Signer[];
  readonly pending: Set<(transaction: SignedTransaction) => void>;
  readonly room: Room;
  readonly submit: Backend['submit'];
};

/** The node as JSON-RPC sees it. */
export function makeBackend(parts: BackendParts): Backend {
  const { chain, pool, feed, pending } = parts;
  const { params } = chain;
  const startedAt = performance.now();
  return {
    clientVersion: `mpbp/v${VERSION}/${process.platform}-${process.arch}/node${process.version}`,
    chainId: params.chainId,
    networkId: params.networkId,
    baseFeePerGas: params.rules.baseFeePerGas,
    evmGasLimit: params.rules.evmLaneGasLimit,
    rules: params.rules,
    get electorate() {
      return chain.electorate;
    },
    electorateOf: (epoch) => chain.electorates.of(epoch),
    get head() {
      return chain.head;
    },
    pool: {
      get executable() {
        return pool.executable;
      },
      get gapped() {
        return pool.gapped;
      },
      *entries() {
        for (const { transaction } of pool.entries()) {
          const executable = transaction.nonce < pool.nextNonce(transaction.sender);
          yield { transaction, executable };
        }
      },
      get: (hash) => pool.get(hash),
      nextNonce: (address) => pool.nextNonce(address),
    },
    blockAt: (height) => (height > chain.head.header.height ? null : chain.blockAt(height)),
    headerAt: (height) => chain.headerAt(height),
    heightOf: (hash) => chain.heightOf(hash),
    receiptsAt: (height) => chain.receiptsAt(height),
    locate: (hash) => chain.locate(hash),
    certificateFor: (from) => {
      const top = chain.head.header.height;
      for (let height = from; height <= top && height <= from + certificateSearchMax; ) {
        const bytes = chain.certificateBytesAt(height);
        const decoded = bytes === null ? null : decodeCertificate(bytes);
        if (decoded?.ok) return { certificate: decoded.value, height };
        height = asHeight(height + 1n);
      }
      return null;
    },
    stateAt: (height) => {
      const state = chain.stateAt(height);
      if (state === null) return null;
      return {
        account: (address) => state.account(address),
        slot: (address, key) => {
          const value = new Uint8Array(32);
          const stored = state.slot(address, Buffer.from(key).toString('hex'));
          value.set(stored, 32 - stored.length);
          return value;
        },
        code: (hash) => state.code(hash) ?? new Uint8Array(0),
      };
    },
    stateProof: (height, address, slots) =>
      chain.proofs.prove(height, address, slots.map(toBareHex)),
    history: (address, cursor, limit) => chain.history(address, cursor, limit),
    historyBeside: (...asked) => chain.historyBeside(...asked),
    submit: parts.submit,
    finalityProof: (height, trusted) => makeFinalityProof(chain, height, trusted),
    receiptProof: (transaction, trusted) => makeReceiptProof(chain, transaction, trusted),
    evidence: () => parts.evidence.all,
    status: () => status(parts, startedAt),
    onFinal: (listener) => feed.subscribe(({ block, receipts }) => listener(block, receipts)),
    onPending: (listener) => {
      pending.add(listener);
      return () => pending.delete(listener);
    },
  };
}

function status(parts: BackendParts, startedAt: number): NodeStatus {
  const { chain, pool, engine, network } = parts;
  const { validators } = chain.electorate.set;
  const { epoch, view, floor, leader, validator, recalling, suspects, unfinalized, behind } =
    engine.status;
  const peers = network.peers().flatMap(({ peerId, connection }) => {
    if (connection === null) return [];
    const index = validators.findIndex((member) => member.peerId === peerId);
    return [
      {
        peerId,
        address: connection.address,
        direction: connection.direction,
        connectedSinceMs: connection.sinceUnixMs,
        validator: index < 0 ? null : index,
      },
    ];
  });
  return {
    version: VERSION,
    peerId: network.peerId,
    validator,
    consensusKeys: parts.signers.map(({ publicKey }) => publicKey),
    recalling,
    epoch,
    height: chain.head.header.height,
    view,
    finalizedView: floor.view,
    leader,
    suspects,
    unfinalizedBlocks: unfinalized,
    blocksBehind: behind,
    poolTransactions: pool.size,
    diskFull: parts.room.look(),
    peers,
    cryptoBackend: secp256k1Backend(),
    uptimeMs: Math.round(performance.now() - startedAt),
  };
}
