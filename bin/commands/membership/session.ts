import type { Command } from 'commander';
import type { NativeContract } from '#src/ledger/payments/contract.ts';
import { EXIT, UserError } from '#src/lib/failure.ts';
import { formatAddress } from '#src/types/address.ts';
import { parseHash } from '#src/types/hash.ts';
import { memberText } from '#src/types/memberId.ts';
import { asWei } from '#src/types/units.ts';
import { ZERO_HASH } from '#src/types/vote.ts';
import type { PaymentSigner } from '#src/wallet/paymentSigner.ts';
import { Client, defaultRpc, NodeRefusal } from '../../client.ts';
import { makeOutput } from '../../output.ts';
import { openPaymentSigner, type SignerOptions, signerOptions } from '../../paymentSigner.ts';
import { type Receipt, transact } from '../transact.ts';
import { consortium, encodeCall, view } from './contract.ts';
import { type Membership, readMembership } from './registry.ts';
import { describeRevert, type Sentences } from './words.ts';

export type SessionOptions = SignerOptions & { rpc: string; json: boolean };

/** Who signs and through which node: as for `mpbp pay`. */
export function signing(command: Command): Command {
  return signerOptions(command)
    .option('--rpc <url>', 'a node of the network', defaultRpc)
    .option('--json', 'print one JSON document', false);
}

/** What a command did and what comes next: line by line for people, at the end for machines. */
export class Report {
  readonly #json: boolean;
  readonly #lines: string[] = [];
  /** Watching: what was said last is not said again. */
  onlyNews = false;
  #data: Readonly<Record<string, unknown>> = {};

  constructor(json: boolean) {
    this.#json = json;
  }

  say(line: string, data: Readonly<Record<string, unknown>> = {}): void {
    this.#data = { ...this.#data, ...data };
    if (this.onlyNews && sameButNumbers(this.#lines.at(-1) ?? '', line)) return;
    this.#lines.push(line);
    if (!this.#json) process.stdout.write(`${line}\n`);
  }

  end(): void {
    if (this.#json) makeOutput(true).result({ ...this.#data, lines: this.#lines }, '');
  }
}

function sameButNumbers(before: string, line: string): boolean {
  return before.replace(/\d+/g, '#') === line.replace(/\d+/g, '#');
}

/** A member's account at work. */
export class Session {
  readonly client: Client;
  readonly wallet: PaymentSigner;
  /** Null for an account that is no member's. */
  readonly memberId: string | null;
  readonly report: Report;
  /** What errors mean to this command, where that is not what they mean to a member. */
  sentences: Sentences = {};

  private constructor(
    client: Client,
    wallet: PaymentSigner,
    memberId: string | null,
    json: boolean,
  ) {
    this.client = client;
    this.wallet = wallet;
    this.memberId = memberId;
    this.report = new Report(json);
  }

  static async open(options: SessionOptions): Promise<Session> {
    const client = new Client(options.rpc);
    await client.call('eth_chainId');
    const wallet = await openPaymentSigner(options);
    const [id] = await view(client, consortium, 'memberOf', wallet.address);
    const hash = parseHash(String(id)) ?? ZERO_HASH;
    const memberId = hash === ZERO_HASH ? null : memberText(hash);
    return new Session(client, wallet, memberId, options.json);
  }

  membership(): Promise<Membership> {
    return readMembership(this.client);
  }

  /** The member that the account belongs to; refuses where there is none. */
  needMember(): string {
    if (this.memberId !== null) return this.memberId;
    const account = formatAddress(this.wallet.address);
    throw new UserError(
      EXIT.permission,
      `${account} is no member's account; a member that may vote admits it with: ` +
        `mpbp member add --id NAME --admin ${account} --roles validator`,
    );
  }

  /** May the member propose and vote. */
  mayVote({ members }: Membership): boolean {
    const member = members.find(({ memberId }) => memberId === this.memberId);
    return member !== undefined && member.status === 1 && (member.roles & 3n) !== 0n;
  }

  /** Sends a call and waits until it is final; a revert comes back in words. */
  async send(
    contract: NativeContract,
    name: string,
    values: readonly unknown[],
    value = 0n,
  ): Promise<Receipt> {
    const data = encodeCall(contract, name, ...values);
    const wanted = { to: contract.address, value: asWei(value), data };
    const run = () => transact(this.client, this.wallet, wanted);
    const { receipt } = await refusedInWords(run, this.sentences);
    if (receipt.status === '0x1') return receipt;
    throw new UserError(
      EXIT.badData,
      `${name} was overtaken by another change and did nothing; try again`,
    );
  }
}

/** What a contract refuses, by the meaning of its error; nothing has moved. */
export async function refusedInWords<T>(run: () => Promise<T>, own: Sentences = {}): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof NodeRefusal) || typeof error.data !== 'string') throw error;
    const words = describeRevert(error.data, own);
    throw new UserError(EXIT.badData, `refused: ${words ?? error.message}`, { cause: error });
  }
}
