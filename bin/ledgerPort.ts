import type { Block as CoreBlock, Floor } from '#consensus/core/types.ts';
import type { BuildRequest, FinalRange, Ledger, PrepareRequest } from '#consensus/engine/ports.ts';
import type { Chain } from '#src/chain/chain.ts';
import { provenFinal } from '#src/chain/final.ts';
import { hasPendingChanges } from '#src/ledger/payments/validatorChanges.ts';
import type { StateReader } from '#src/ledger/state/reader.ts';
import { accept, assert } from '#src/lib/failure.ts';
import type { Log } from '#src/lib/log.ts';
import { then } from '#src/lib/steps.ts';
import type { Pool } from '#src/pool/pool.ts';
import type { Senders } from '#src/pool/senders.ts';
import type { Address } from '#src/types/address.ts';
import { type Block, decodeBlockHeader, encodeBlock, rawTransactionsIn } from '#src/types/block.ts';
import type { Hash } from '#src/types/hash.ts';
import { hashHeader } from '#src/types/header.ts';
import type { SignedTransaction } from '#src/types/transaction.ts';
import { asHeight, asView } from '#src/types/units.ts';

/** With less that could be included nothing is built ahead: as much as 64 plain payments use. */
const preparedGasMin = 64n * 21_000n;

/**
 * How long payments are executed for one block. Everybody else executes it too, and finds the
 * senders that are new there, while a view's timers run: on a machine that is busy a block that
 * fills the gas limit would be given up view after view, and nothing would ever be final.
 */
const fillMsMax = 25;

/** The chain and the pool as agreement sees them: blocks with a few numbers, and bytes. */
export function ledgerPort(chain: Chain, pool: Pool, senders: Senders, log: Log): Ledger {
  const encoded = new WeakMap<Block, Uint8Array>();
  const bytesOf = (block: Block): Uint8Array => {
    // Encoded once: the same bytes go to the journal and to every peer.
    let bytes = encoded.get(block);
    if (bytes === undefined) {
      bytes = encodeBlock(block);
      encoded.set(block, bytes);
    }
    return bytes;
  };
  const nonceAfter = (hash: Hash) => {
    const state = chain.stateAfter(hash);
    return (address: Address) => state?.account(address)?.nonce ?? 0n;
  };
  // Asked at every message: where nothing could be included a moment ago, only what is new can.
  let nothingAt: Hash | null = null;
  const hasExecutable = (tip: Hash): boolean => {
    const touched = pool.takeTouched();
    const among = nothingAt === tip ? touched : undefined;
    const has = pool.hasExecutable(nonceAfter(tip), among);
    nothingAt = has ? null : tip;
    return has;
  };
  const build = (request: PrepareRequest, withPayments: boolean, mayBeEmpty: boolean) => {
    const { parent, proposer: proposerIndex, view, parentView, timestampMs } = request;
    const fields = { view, parentView, timestampMs, proposerIndex };
    const nonceIn = (state: StateReader) => (address: Address) =>
      state.account(address)?.nonce ?? 0n;
    const candidates = (state: StateReader) =>
      withPayments ? pool.executableFrom(nonceIn(state)) : [];
    return chain.build(parent.hash, fields, {
      ...{ candidates, mayBeEmpty, goOn: forAMoment() },
      onUnpaid: (transactions) => pool.reconsider(transactions),
    });
  };
  let prepared: (PrepareRequest & { readonly block: Block }) | null = null;
  const takePrepared = ({ parent, view, parentView, proposer }: BuildRequest): Block | null => {
    const ready = prepared;
    prepared = null;
    if (ready === null || ready.parent.hash !== parent.hash || ready.proposer !== proposer)
      return null;
    return ready.view === view && ready.parentView === parentView ? ready.block : null;
  };
  return {
    get floor(): Floor {
      const { header, hash } = chain.head;
      const { timestampMs, epochEnd } = header.consensus;
      const { height } = header;
      // On the last block of an epoch the next one has begun, and its views begin at 1.
      const view = epochEnd ? 0 : (chain.headCertificate?.statement.view ?? 0);
      return { view: asView(view), hash, height, timestampMs };
    },
    get floorCertificate() {
      return chain.headCertificate;
    },
    get electorate() {
      return chain.electorate;
    },
    transition: (epoch) => {
      const boundary = chain.electorates.boundaryOf(epoch);
      return boundary === null ? null : chain.certificateAt(boundary);
    },
    encode: (block) => bytesOf(contentOf(block)),
    decode: (bytes) => {
      const decoded = chain.decode(bytes);
      if (!decoded.ok) return decoded;
      encoded.set(decoded.value, bytes);
      return accept(coreBlock(decoded.value));
    },
    decodeSoon: (bytes) => senders.findAhead(rawTransactionsIn(bytes), chain.params.chainId),
    build: (request) => {
      const { parent, mayBeEmpty, withPayments } = request;
      if (chain.stateAfter(parent.hash) === null) return { t: 'failed' };
      const ready = withPayments ? takePrepared(request) : null;
      return then(ready ?? build(request, withPayments, mayBeEmpty), (block) => {
        if (block !== null) return { t: 'block', block: coreBlock(block) };
        // What it was to stand on is not there any more, or there was nothing to put into it.
        return { t: chain.stateAfter(parent.hash) === null ? 'failed' : 'nothing' };
      });
    },
    prepare: (request) => {
      // A small block is built as fast when it is asked for, and then has what came in between.
      const { hash } = request.parent;
      if (chain.stateAfter(hash) === null || !isMuch(pool.executableFrom(nonceAfter(hash)))) return;
      return then(build(request, true, false), (block) => {
        const isWorth = block !== null && block.header.gasUsed >= preparedGasMin;
        prepared = isWorth ? { ...request, block } : null;
      });
    },
    execute: (block) =>
      then(chain.check(contentOf(block)), (refusal) => {
        if (refusal === null) return null;
        log.debug('block check failed', { height: block.height, code: refusal.code });
        return 'field' in refusal ? `${refusal.code} ${refusal.field}` : refusal.code;
      }),
    commit: async (blocks, certificate, journalSeq, known) => {
      const final = provenFinal(blocks.map(contentOf), certificate, chain.electorate, known);
      assert(final.ok, 'what agreement made final is proven so');
      await chain.commit(final.value, journalSeq);
    },
    waiting: (tips) => {
      const tip = tips.find((hash) => chain.stateAfter(hash) !== null) ?? chain.head.hash;
      const state = chain.stateAfter(tip);
      const boundary = state !== null && hasPendingChanges(state);
      return { has: hasExecutable(tip), boundary };
    },
    headerOf: (bytes) => {
      const header = decodeBlockHeader(bytes);
      if (!header.ok) return null;
      const { parentHash, height, consensus } = header.value;
      const { epoch, view, parentView, epochEnd } = consensus;
      const hash = hashHeader(header.value);
      return { hash, parentHash, height, epoch, view, parentView, epochEnd };
    },
    finalBlock: (hash) => {
      const height = chain.heightOf(hash);
      return height === null ? null : chain.blockBytesAt(height);
    },
    finalRange: (from, blocksMax, bytesMax) => finalRange(chain, from, blocksMax, bytesMax),
  };
}

/** By what they ask for. */
function isMuch(transactions: Iterable<SignedTransaction>): boolean {
  let gas = 0n;
  for (const { gasLimit } of transactions) {
    gas += gasLimit;
    if (gas >= preparedGasMin) return true;
  }
  return false;
}

/** True until it is time to stop. */
function forAMoment(): () => boolean {
  const until = performance.now() + fillMsMax;
  return () => performance.now() < until;
}

/** Up to the limits, then on to the next block that has its own certificate. */
function finalRange(
  chain: Chain,
  from: bigint,
  blocksMax: number,
  bytesMax: number,
): FinalRange | null {
  const top = chain.head.header.height;
  const blocks: Uint8Array[] = [];
  let bytes = 0;
  let certified: FinalRange | null = null;
  for (let height = from; height <= top; height++) {
    const full = blocks.length >= blocksMax || bytes >= bytesMax;
    if (full && certified !== null) break;
    const block = chain.blockBytesAt(asHeight(height));
    if (block === null) break;
    blocks.push(block);
    bytes += block.length;
    const certificate = chain.certificateBytesAt(asHeight(height));
    if (certificate === null) continue;
    certified = { blocks: [...blocks], certificate };
    // What follows is certified by another set, which the asker learns from this block.
    if (chain.headerAt(asHeight(height))?.consensus.epochEnd) break;
  }
  return certified;
}

function coreBlock(block: Block): CoreBlock {
  const { header, hash, transactions } = block;
  const { epoch, view, parentView, proposerIndex, timestampMs, epochEnd } = header.consensus;
  return {
    hash,
    parentHash: header.parentHash,
    height: header.height,
    epoch,
    view,
    parentView,
    proposer: proposerIndex,
    timestampMs,
    transactions: transactions.length,
    epochEnd,
    content: block,
  };
}

function contentOf(block: CoreBlock): Block {
  return block.content as Block;
}
