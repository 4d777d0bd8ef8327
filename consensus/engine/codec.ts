/**
 * Agreement's messages on the wire: `RLP [type, fields…]`, canonical, every list bounded before it
 * is walked. Numbers are safe integers; a certificate is its own byte format inside a string.
 */
import {
  justifyNullificationsMax,
  recalledVotesMax,
  standstillViewsMax,
} from '#consensus/core/limits.ts';
import type { Block, Message, Proposal } from '#consensus/core/types.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { type Certificate, decodeCertificate, encodeCertificate } from '#src/types/certificate.ts';
import { hashFromBytes, hashToBytes } from '#src/types/hash.ts';
import {
  decodeRlp,
  encodeRlp,
  isRlpList,
  type RlpItem,
  rlpBytes,
  rlpToSafeInteger,
  rlpToUint,
  uintToRlp,
} from '#src/types/rlp.ts';
import { asEpoch, asHeight, asView, type Epoch } from '#src/types/units.ts';
import { type Statement, type Vote, VoteKind, ZERO_HASH } from '#src/types/vote.ts';

const TYPES = [
  'proposal',
  'vote',
  'certificate',
  'status',
  'getCertificates',
  'certificates',
  'getBlock',
  'block',
  'recall',
  'recalled',
] as const satisfies readonly Message['t'][];

/** A block of the greatest size, its justification, and room for framing. */
export const messageBytesMax = 2 * 1024 * 1024 + 256 * 1024;
const certificatesMax = Math.max(justifyNullificationsMax + 2, 2 * standstillViewsMax);

export type MessageRefusal =
  | { code: 'MESSAGE_MALFORMED'; what: string }
  | { code: typeof FOREIGN; epoch: Epoch }
  | { code: typeof SECOND; vote: Vote }
  | { code: string };

export type BlockCodec = {
  encode(block: Block): Uint8Array;
  decode(bytes: Uint8Array): Verdict<Block, { code: string }>;
};

/** Not malformed, just not of any use here: dropped without a word. */
export const UNWANTED = 'MESSAGE_UNWANTED';
/** Of an epoch that this node is not in: its sender, or this node, is behind. */
export const FOREIGN = 'MESSAGE_FOREIGN_EPOCH';

/** A further proposal of one view: its vote is all that is of use. */
export const SECOND = 'PROPOSAL_SECOND';

/** Asked before a block is decoded, which is the dear part; a code refuses. */
export type Gate = {
  proposal(vote: Vote, block: Uint8Array): string | null;
  block(bytes: Uint8Array): string | null;
};

const openGate: Gate = { proposal: () => null, block: () => null };

/** A block as it is stored, without decoding it. */
export function encodeStoredBlock(bytes: Uint8Array): Uint8Array {
  return encodeRlp([uintToRlp(TYPES.indexOf('block')), bytes]);
}

export function encodeMessage(message: Message, blocks: BlockCodec): Uint8Array {
  const type = uintToRlp(TYPES.indexOf(message.t));
  switch (message.t) {
    case 'proposal': {
      const { view, block, vote, justify } = message.proposal;
      const justified = justify.map(encodeCertificate);
      return encodeRlp([type, uintToRlp(view), blocks.encode(block), voteItems(vote), justified]);
    }
    case 'vote':
      return encodeRlp([type, voteItems(message.vote)]);
    case 'certificate':
      return encodeRlp([type, encodeCertificate(message.certificate)]);
    case 'status': {
      const { height, certificate } = message;
      const bytes = certificate === null ? new Uint8Array(0) : encodeCertificate(certificate);
      return encodeRlp([type, uintToRlp(height), bytes]);
    }
    case 'getCertificates':
      return encodeRlp([type, ...[message.epoch, message.from, message.to].map(uintToRlp)]);
    case 'certificates':
      return encodeRlp([type, message.certificates.map(encodeCertificate)]);
    case 'getBlock':
      return encodeRlp([type, hashToBytes(message.hash)]);
    case 'block':
      return encodeRlp([type, blocks.encode(message.block)]);
    case 'recall':
      return encodeRlp([type, uintToRlp(message.epoch)]);
    case 'recalled':
      return encodeRlp([type, uintToRlp(message.epoch), message.votes.map(voteItems)]);
  }
}

/** Structure only: whoever calls verifies the signatures before the core hears of it. */
export function decodeMessage(
  bytes: Uint8Array,
  blocks: BlockCodec,
  gate: Gate = openGate,
): Verdict<Message, MessageRefusal> {
  const decoded = decodeRlp(bytes, messageBytesMax);
  if (!decoded.ok) return decoded;
  if (!isRlpList(decoded.value)) return malformed('not a list');
  const [typeItem, ...fields] = decoded.value;
  const type = TYPES[rlpToSafeInteger(typeItem) ?? -1];
  if (type === undefined) return malformed('type');
  if (fields.length !== FIELD_COUNTS[type]) return malformed(`${type} fields`);
  return decodeFields(type, fields, blocks, gate);
}

const FIELD_COUNTS: Readonly<Record<Message['t'], number>> = {
  proposal: 4,
  vote: 1,
  certificate: 1,
  status: 2,
  getCertificates: 3,
  certificates: 1,
  getBlock: 1,
  block: 1,
  recall: 1,
  recalled: 2,
};

function decodeFields(
  t: Message['t'],
  fields: readonly RlpItem[],
  blocks: BlockCodec,
  gate: Gate,
): Verdict<Message, MessageRefusal> {
  const [first, second, third] = fields;
  switch (t) {
    case 'proposal': {
      const proposal = decodeProposal(fields, blocks, gate);
      return proposal.ok ? accept({ t, proposal: proposal.value }) : proposal;
    }
    case 'vote': {
      const vote = decodeVote(first);
      return vote.ok ? accept({ t, vote: vote.value }) : vote;
    }
    case 'certificate': {
      const certificate = certificateFrom(first);
      return certificate.ok ? accept({ t, certificate: certificate.value }) : certificate;
    }
    case 'status':
      return decodeStatus(first, second);
    case 'getCertificates': {
      const [epoch, from, to] = [first, second, third].map(rlpToSafeInteger);
      if (epoch == null || from == null || to == null || from > to) return malformed('view range');
      return accept({ t, epoch: asEpoch(epoch), from: asView(from), to: asView(to) });
    }
    case 'certificates': {
      const certificates = decodeCertificates(first);
      return certificates.ok ? accept({ t, certificates: certificates.value }) : certificates;
    }
    case 'getBlock': {
      const hash = rlpBytes(first, 32);
      return hash === null ? malformed('hash') : accept({ t, hash: hashFromBytes(hash) });
    }
    case 'block': {
      if (first === undefined || isRlpList(first)) return malformed('block');
      const closed = gate.block(first);
      if (closed !== null) return refuse({ code: closed });
      const block = blocks.decode(first);
      return block.ok ? accept({ t, block: block.value }) : block;
    }
    case 'recall': {
      const epoch = rlpToSafeInteger(first);
      return epoch === null ? malformed('epoch') : accept({ t, epoch: asEpoch(epoch) });
    }
    case 'recalled':
      return decodeRecalled(first, second);
  }
}

function decodeProposal(
  fields: readonly RlpItem[],
  blocks: BlockCodec,
  gate: Gate,
): Verdict<Proposal, MessageRefusal> {
  const [viewItem, blockItem, voteItem, justifyItem] = fields;
  const view = rlpToSafeInteger(viewItem);
  if (view === null || view < 1) return malformed('view');
  const vote = decodeVote(voteItem);
  if (!vote.ok) return vote;
  const { statement } = vote.value;
  const isOfView = statement.kind === VoteKind.Notarize && statement.view === view;
  if (!isOfView) return malformed('proposal vote');
  if (blockItem === undefined || isRlpList(blockItem)) return malformed('block');
  const closed = gate.proposal(vote.value, blockItem);
  if (closed === SECOND) return refuse({ code: closed, vote: vote.value });
  if (closed === FOREIGN) return refuse({ code: closed, epoch: vote.value.statement.epoch });
  if (closed !== null) return refuse({ code: closed });
  const justify = decodeCertificates(justifyItem);
  if (!justify.ok) return justify;
  const block = blocks.decode(blockItem);
  if (!block.ok) return block;
  return accept({
    view: asView(view),
    parentView: vote.value.statement.parentView,
    block: block.value,
    vote: vote.value,
    justify: justify.value,
  });
}

function decodeStatus(
  heightItem: RlpItem | undefined,
  certificateItem: RlpItem | undefined,
): Verdict<Message, MessageRefusal> {
  const height = rlpToUint(heightItem, 8);
  if (height === null || certificateItem === undefined || isRlpList(certificateItem)) {
    return malformed('status');
  }
  const t = 'status';
  if (certificateItem.length === 0) {
    return accept({ t, height: asHeight(height), certificate: null });
  }
  const certificate = certificateFrom(certificateItem);
  if (!certificate.ok) return certificate;
  return accept({ t, height: asHeight(height), certificate: certificate.value });
}

function decodeRecalled(
  epochItem: RlpItem | undefined,
  votesItem: RlpItem | undefined,
): Verdict<Message, MessageRefusal> {
  const epoch = rlpToSafeInteger(epochItem);
  if (epoch === null || !isRlpList(votesItem)) return malformed('recalled');
  // One view may add three votes beyond the limit that its sender keeps.
  if (votesItem.length > recalledVotesMax + 6) return malformed('recalled votes');
  const votes: Vote[] = [];
  for (const item of votesItem) {
    const vote = decodeVote(item);
    if (!vote.ok) return vote;
    if (vote.value.statement.epoch !== epoch) return malformed('recalled epoch');
    votes.push(vote.value);
  }
  return accept({ t: 'recalled', epoch: asEpoch(epoch), votes });
}

function voteItems({ statement, signer, signature }: Vote): RlpItem[] {
  const { kind, epoch, view, parentView, blockHash } = statement;
  return [
    uintToRlp(kind),
    uintToRlp(epoch),
    uintToRlp(view),
    uintToRlp(parentView),
    hashToBytes(blockHash),
    uintToRlp(signer),
    signature,
  ];
}

function decodeVote(item: RlpItem | undefined): Verdict<Vote, MessageRefusal> {
  if (!isRlpList(item) || item.length !== 7) return malformed('vote');
  const [kind, epoch, view, parentView] = item.slice(0, 4).map(rlpToSafeInteger);
  const hash = rlpBytes(item[4], 32);
  const signer = rlpToSafeInteger(item[5]);
  const signature = rlpBytes(item[6], 64);
  if (kind !== 1 && kind !== 2 && kind !== 3) return malformed('vote kind');
  if (epoch == null || view == null || parentView == null) return malformed('vote numbers');
  if (hash === null || signature === null || signer === null) return malformed('vote fields');
  if (view < 1 || parentView >= view) return malformed('vote views');
  const blockHash = hashFromBytes(hash);
  const nullifies = kind === VoteKind.Nullify;
  if (nullifies !== (blockHash === ZERO_HASH) || (nullifies && parentView !== 0)) {
    return malformed('vote block');
  }
  const statement: Statement = {
    kind,
    epoch: asEpoch(epoch),
    view: asView(view),
    parentView: asView(parentView),
    blockHash,
  };
  return accept({ statement, signer, signature });
}

function decodeCertificates(item: RlpItem | undefined): Verdict<Certificate[], MessageRefusal> {
  if (!isRlpList(item) || item.length > certificatesMax) return malformed('certificates');
  const certificates: Certificate[] = [];
  for (const entry of item) {
    const certificate = certificateFrom(entry);
    if (!certificate.ok) return certificate;
    certificates.push(certificate.value);
  }
  return accept(certificates);
}

function certificateFrom(item: RlpItem | undefined): Verdict<Certificate, MessageRefusal> {
  if (item === undefined || isRlpList(item)) return malformed('certificate');
  return decodeCertificate(item);
}

function malformed(what: string): { ok: false; refusal: MessageRefusal } {
  return refuse({ code: 'MESSAGE_MALFORMED', what });
}
