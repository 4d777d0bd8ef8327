import type { Block, Floor } from '#consensus/core/types.ts';
import { nextTurn } from '#src/lib/clock.ts';
import type { Log } from '#src/lib/log.ts';
import { type Certificate, decodeCertificate } from '#src/types/certificate.ts';
import {
  decodeRlp,
  encodeRlp,
  isRlpList,
  type RlpItem,
  rlpToUint,
  uintToRlp,
} from '#src/types/rlp.ts';
import { type Statement, VoteKind } from '#src/types/vote.ts';
import { isAfter, type Position } from './journal.ts';
import type { FinalRange, Ledger, Net } from './ports.ts';

export const rangeBlocksMax = 128;
export const rangeBytesMax = 2 * 1024 * 1024;
const requestTimeoutMs = 10_000;
/** Certified blocks after the last whole step: a range may have to run past its limits to one. */
export const answerBytesMax = 16 * 1024 * 1024;

export type CatchUpOptions = {
  readonly ledger: Ledger;
  readonly net: Net;
  /** The code of what is wrong with a certificate of the epoch that this node is in, or null. */
  judge(certificate: Certificate): string | null;
  readonly log: Log;
  /** Writes a verified range in the commit queue; false where it does not fit or is invalid. */
  importRange(blocks: readonly Block[], certificate: Certificate): Promise<boolean>;
};

/** Blocks that link to ours and end in one that is final; not decoded yet. */
type Proven = { readonly certificate: Certificate; readonly items: readonly Uint8Array[] };

type Fetched = {
  readonly peer: string;
  readonly from: bigint;
  /** Null where nothing came, else what is wrong with it. */
  readonly range: Promise<Proven | string | null>;
};

const STALE = 'RANGE_STALE';

/**
 * Fetches final blocks that are missing here. A range is believed only as far as the finalization
 * on its last block and the links back to ours; what a peer claims of its height counts for
 * nothing.
 */
export class CatchUp {
  readonly #options: CatchUpOptions;
  /** Asked for while the range before it is written. */
  #next: Fetched | null = null;
  #running = false;
  #turn = 0;
  /** While it runs: final blocks of the last answer. What a peer claims and does not prove is none. */
  behind = 0;

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  /**
   * Runs until our chain has come to this place, or every peer was tried in vain. The place need not
   * be proven: an epoch is walked to one range after the other, each certified by its own set.
   */
  async run(target: Position): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      let failures = 0;
      while (isAfter(target, this.#here())) {
        const { ledger, net } = this.#options;
        if (failures > net.connected().length) return;
        const next = this.#next;
        this.#next = null;
        const isNext = next?.from === ledger.floor.height + 1n;
        // As the floor is now: our own commits may move it while the answer travels.
        const fetched = isNext ? next : this.#ask(ledger.floor);
        if (fetched === null) return;
        failures = (await this.#take(fetched, target)) ? 0 : failures + 1;
      }
    } finally {
      this.#next = null;
      this.#running = false;
      this.behind = 0;
    }
  }

  #here(): Position {
    const { electorate, floor } = this.#options.ledger;
    return { epoch: electorate.epoch, view: floor.view };
  }

  /** Asks the peers in turn. */
  #ask(floor: Floor): Fetched | null {
    const peers = this.#options.net.connected();
    const peer = peers[this.#turn++ % Math.max(1, peers.length)];
    if (peer === undefined) return null;
    const from = floor.height + 1n;
    return { peer, from, range: this.#fetch(peer, floor) };
  }

  async #fetch(peer: string, floor: Floor): Promise<Proven | string | null> {
    const { ledger, net } = this.#options;
    const { epoch } = ledger.electorate;
    const request = encodeRangeRequest(floor.height + 1n);
    const answer = await net.request(peer, request, requestTimeoutMs);
    if (answer === null) return null;
    // Our own commit has ended the epoch: the answer is honest and of no use.
    if (ledger.electorate.epoch !== epoch) return STALE;
    const range = this.#prove(answer, floor);
    if (typeof range === 'string') return range;
    for (const item of range.items) await ledger.decodeSoon(item);
    return range;
  }

  async #take({ peer, from, range: fetched }: Fetched, target: Position): Promise<boolean> {
    const { net, log, importRange } = this.#options;
    const range = await fetched;
    if (range === null) return false;
    if (range === STALE) return true;
    const blocks = typeof range === 'string' ? range : await this.#decode(range);
    if (typeof range === 'string' || typeof blocks === 'string') {
      const reason = typeof range === 'string' ? range : `${blocks}`;
      log.warn('sync range refused', { peer, from, reason });
      // Nothing newer is an honest answer; everything else costs standing.
      if (reason !== 'RANGE_EMPTY') net.penalize(peer, 'disconnect', reason);
      return false;
    }
    this.behind = blocks.length;
    const { certificate } = range;
    const last = blocks.at(-1);
    const { epoch, view } = certificate.statement;
    if (last !== undefined && !last.epochEnd && isAfter(target, { epoch, view })) {
      const { hash, height, timestampMs } = last;
      this.#next = this.#ask({ view, hash, height, timestampMs });
    }
    return importRange(blocks, certificate);
  }

  /** The cheap half: whether what is claimed is certified. */
  #prove(answer: Uint8Array, floor: Floor): Proven | string {
    const decoded = decodeRlp(answer, answerBytesMax);
    if (!decoded.ok || !isRlpList(decoded.value)) return 'RANGE_MALFORMED';
    const [certificateItem, blockItems] = decoded.value;
    if (decoded.value.length === 0) return 'RANGE_EMPTY';
    if (certificateItem === undefined || isRlpList(certificateItem)) return 'RANGE_MALFORMED';
    if (!isRlpList(blockItems) || blockItems.length === 0) return 'RANGE_MALFORMED';
    const certificate = decodeCertificate(certificateItem);
    if (!certificate.ok) return certificate.refusal.code;
    const { statement } = certificate.value;
    if (statement.kind !== VoteKind.Finalize) return 'RANGE_CERTIFICATE_KIND';
    if (statement.view <= floor.view) return 'RANGE_CERTIFICATE_OLD';
    const unlinked = this.#findBreak(blockItems, floor, statement);
    if (unlinked !== null) return unlinked;
    const wrong = this.#options.judge(certificate.value);
    if (wrong !== null) return wrong;
    const items = blockItems.filter((item) => item instanceof Uint8Array);
    return { certificate: certificate.value, items };
  }

  async #decode({ items }: Proven): Promise<Block[] | string> {
    const blocks: Block[] = [];
    for (const item of items) {
      const block = this.#options.ledger.decode(item);
      if (!block.ok) return block.refusal.code;
      blocks.push(block.value);
      // Thousands of signatures: agreement goes on in between.
      await nextTurn();
    }
    return blocks;
  }

  /** By the headers alone: a body is dear to decode, and a liar sends many. */
  #findBreak(items: readonly RlpItem[], floor: Floor, certified: Statement): string | null {
    let parent: { hash: string; height: bigint } = floor;
    for (const item of items) {
      const header = isRlpList(item) ? null : this.#options.ledger.headerOf(item);
      if (header === null) return 'RANGE_MALFORMED';
      const { parentHash, height, epoch } = header;
      if (parentHash !== parent.hash || height !== parent.height + 1n) return 'RANGE_LINK';
      if (epoch !== certified.epoch) return 'RANGE_EPOCH';
      parent = header;
    }
    return parent.hash === certified.blockHash ? null : 'RANGE_CERTIFICATE_HASH';
  }
}

export function encodeRangeRequest(from: bigint): Uint8Array {
  return encodeRlp([uintToRlp(from), uintToRlp(rangeBlocksMax)]);
}

/** The answer to a range request, or null where the request is malformed. Limits are ours. */
export function answerRange(request: Uint8Array, ledger: Ledger): Uint8Array | null {
  const decoded = decodeRlp(request, 64);
  if (!decoded.ok || !isRlpList(decoded.value) || decoded.value.length !== 2) return null;
  const from = rlpToUint(decoded.value[0], 8);
  const wanted = rlpToUint(decoded.value[1], 4);
  if (from === null || wanted === null || from < 1n) return null;
  const blocksMax = Math.max(1, Math.min(rangeBlocksMax, Number(wanted)));
  const range: FinalRange | null = ledger.finalRange(from, blocksMax, rangeBytesMax);
  if (range === null) return encodeRlp([]);
  return encodeRlp([range.certificate, range.blocks]);
}
