/**
 * That a payment was made, for somebody who trusts the genesis (or a set of validators that was
 * proven before) and nothing else: the transaction and its receipt, under the roots of a block that
 * is final.
 */
import { fromHex, toHex } from '#src/lib/bytes.ts';
import { accept, refuse, type Verdict } from '#src/lib/failure.ts';
import { decodeTransaction, type TransactionRefusal } from './decodeTransaction.ts';
import type { Electorate } from './electorate.ts';
import {
  type FinalityProof,
  type FinalityProofRefusal,
  finalityProofToJson,
  type ProvenBlock,
  parseFinalityProof,
  verifyFinalityProof,
} from './finalityProof.ts';
import { blockTransactionsMax } from './limits.ts';
import { listKey } from './listRoot.ts';
import { decodeReceipt, type Receipt } from './receipt.ts';
import type { SignedTransaction } from './transaction.ts';
import { readProof } from './trieProof.ts';

export type ReceiptProof = {
  /** Position in the block. */
  readonly index: number;
  /** Nodes of the tries of transactions and of receipts, each from its root down. */
  readonly transactionNodes: readonly Uint8Array[];
  readonly receiptNodes: readonly Uint8Array[];
  /** Its first header is of the payment's block. */
  readonly finality: FinalityProof;
};

export type ReceiptProofRefusal =
  | FinalityProofRefusal
  | { code: 'PROOF_TRANSACTION_PATH' }
  | { code: 'PROOF_RECEIPT_PATH' }
  | { code: 'PROOF_TRANSACTION'; refusal: TransactionRefusal }
  | { code: 'PROOF_RECEIPT' };

export type ProvenPayment = {
  readonly block: ProvenBlock;
  readonly index: number;
  readonly transaction: SignedTransaction;
  readonly receipt: Receipt;
};

export function verifyReceiptProof(
  { index, transactionNodes, receiptNodes, finality }: ReceiptProof,
  trusted: Electorate,
  chainId: bigint,
): Verdict<ProvenPayment, ReceiptProofRefusal> {
  const final = verifyFinalityProof(finality, trusted);
  if (!final.ok) return final;
  const { header } = final.value;
  const key = listKey(index);
  const raw = readProof(header.transactionsRoot, key, transactionNodes);
  if (raw === null) return refuse({ code: 'PROOF_TRANSACTION_PATH' });
  const receiptBytes = readProof(header.receiptsRoot, key, receiptNodes);
  if (receiptBytes === null) return refuse({ code: 'PROOF_RECEIPT_PATH' });
  const transaction = decodeTransaction(raw, { chainId });
  if (!transaction.ok) return refuse({ code: 'PROOF_TRANSACTION', refusal: transaction.refusal });
  const receipt = decodeReceipt(receiptBytes);
  if (!receipt.ok) return refuse({ code: 'PROOF_RECEIPT' });
  const [paid, said] = [transaction.value, receipt.value];
  return accept({ block: final.value, index, transaction: paid, receipt: said });
}

export function receiptProofToJson(proof: ReceiptProof): Record<string, unknown> {
  return {
    transactionIndex: `0x${proof.index.toString(16)}`,
    transactionProof: proof.transactionNodes.map(toHex),
    receiptProof: proof.receiptNodes.map(toHex),
    finality: finalityProofToJson(proof.finality),
  };
}

/** Structure only; from anybody. */
export function parseReceiptProof(json: unknown): Verdict<ReceiptProof, ReceiptProofRefusal> {
  const fields = (typeof json === 'object' && json !== null ? json : {}) as Fields;
  const { transactionIndex: text } = fields;
  const isIndex = typeof text === 'string' && /^0x(0|[1-9a-f][0-9a-f]{0,6})$/.test(text);
  const index = isIndex ? Number(text) : Number.NaN;
  if (!(index < blockTransactionsMax)) {
    return refuse({ code: 'PROOF_FORMAT', path: 'transactionIndex' });
  }
  const transactionNodes = nodesFrom(fields.transactionProof);
  if (transactionNodes === null) return refuse({ code: 'PROOF_FORMAT', path: 'transactionProof' });
  const receiptNodes = nodesFrom(fields.receiptProof);
  if (receiptNodes === null) return refuse({ code: 'PROOF_FORMAT', path: 'receiptProof' });
  const finality = parseFinalityProof(fields.finality);
  if (!finality.ok) return finality;
  return accept({ index, transactionNodes, receiptNodes, finality: finality.value });
}

type Fields = Readonly<Record<string, unknown>>;

const nodesMax = 65;

function nodesFrom(value: unknown): Uint8Array[] | null {
  if (!Array.isArray(value) || value.length > nodesMax) return null;
  const nodes = value.map((node) => (typeof node === 'string' ? fromHex(node) : null));
  return nodes.every((node) => node !== null) ? nodes : null;
}
