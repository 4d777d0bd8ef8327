/**
 * D2 in a compact form: a network of one validator, whose power is cut again and again with payments
 * in flight. One is enough for what is asked: whether its disk has what it said.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { mnemonicToAccount } from 'viem/accounts';
import { SeededRandom } from '#src/lib/random.ts';
import { statementKey } from '#src/types/vote.ts';
import { until } from './checks.ts';
import { Cluster, chainId } from './cluster.ts';
import { Observer, observerId } from './observer.ts';
import { payee } from './payments.ts';
import { Disk, type Syncing } from './powerCut.ts';
import { call } from './witness.ts';

const words = 'test test test test test test test test test test test junk';
const payers = Array.from({ length: 6 }, (_, at) => mnemonicToAccount(words, { addressIndex: at }));
/** Payments that are final before the power goes, and how long it then still lasts. */
const finalMin = 4;
const lastsMsMax = 300;
/** From a fault of the disk to the end of the process. */
const endMsMax = 10_000;

export type CutReport = {
  cuts: number;
  /** Payments with a receipt, of which a client would have let the goods go. */
  final: number;
  /** Votes that somebody had heard when the power went. */
  heard: number;
  lostBytes: number;
  /** What was promised and is not there any more. */
  broken: string[];
};

type Receipt = { readonly transactionHash: string; readonly blockHash: string };

export class LoneValidator {
  readonly #cluster: Cluster;
  readonly #observer: Observer;
  readonly #disk: Disk;
  readonly #random: SeededRandom;
  readonly #receipts: Receipt[] = [];
  /** Since the last start. */
  readonly #heard: string[];
  readonly report: CutReport = { cuts: 0, final: 0, heard: 0, lostBytes: 0, broken: [] };

  private constructor(
    cluster: Cluster,
    observer: Observer,
    heard: string[],
    disk: Disk,
    seed: number,
  ) {
    this.#cluster = cluster;
    this.#observer = observer;
    this.#heard = heard;
    this.#disk = disk;
    this.#random = new SeededRandom(seed);
  }

  static async open(shim: string, syncing: Syncing, seed: number): Promise<LoneValidator> {
    let disk: Disk | null = null;
    const cluster = await Cluster.create({
      validators: 1,
      observer: observerId,
      environment: () => disk?.environment ?? {},
    });
    disk = new Disk(cluster.members[0]?.dir ?? '', shim, syncing, 0);
    const heard: string[] = [];
    const observer = await Observer.open(cluster, ({ statement }) => {
      heard.push(statementKey(statement));
    });
    return new LoneValidator(cluster, observer, heard, disk, seed);
  }

  get dir(): string {
    return this.#cluster.members[0]?.dir ?? '';
  }

  /** It starts, has to have what it promised before, is paid, and loses its power. */
  async cut(): Promise<void> {
    if (!(await this.#start())) return;
    await this.#whilePaid(() => this.#cluster.kill(0));
    this.#disk.cut(this.#random);
    await this.#checkJournal();
    this.report.cuts++;
    this.report.final = this.#receipts.length;
    this.report.lostBytes = this.#disk.lostBytes;
  }

  /** It runs, or starts, on a disk with this fault (powerCut.c): its exit code and last lines. */
  async breakDisk(when: 'running' | 'starting', fault: string): Promise<string> {
    const { deaths } = this.#cluster;
    const end = async () => {
      this.#disk.fail(fault);
      if (when === 'starting') this.#cluster.start(0);
      await until('it ends', async () => deaths.length > 0, endMsMax).catch(() => {});
    };
    if (when === 'starting') await end();
    else if (await this.#start()) await this.#whilePaid(end);
    await this.#cluster.kill(0);
    this.#disk.fail(null);
    return deaths.splice(0).join();
  }

  /** Once more up, and down as an operator does it. */
  async finish(): Promise<void> {
    if (await this.#start()) await this.#checkReceipts();
    await this.#cluster.stop(0);
    this.report.broken.push(...this.#observer.signatures.conflicts, ...this.#cluster.deaths);
  }

  async destroy(): Promise<void> {
    await this.#observer.close();
    await this.#cluster.destroy();
  }

  get #rpc(): string {
    return this.#cluster.members[0]?.rpc ?? '';
  }

  /** False where it ended instead of being ready. */
  async #start(): Promise<boolean> {
    this.#cluster.start(0);
    const isUp = () => this.#cluster.members[0]?.state === 'up';
    await until('it is ready', async () => {
      if (!isUp()) return true;
      return (await fetch(`${this.#rpc}/readyz`)).ok && this.#observer.listening > 0;
    });
    this.report.broken.push(...this.#cluster.deaths.splice(0));
    return isUp();
  }

  async #whilePaid(end: () => Promise<void>): Promise<void> {
    await this.#checkReceipts();
    this.#heard.length = 0;
    const paying = new AbortController();
    const payments = payers.map((_, at) => this.#pay(at, paying.signal));
    const enough = this.#receipts.length + finalMin;
    await until('some payments are final', async () => this.#receipts.length >= enough);
    await pause(this.#random.between(0, lastsMsMax));
    await end();
    paying.abort();
    await Promise.all(payments);
  }

  async #pay(at: number, signal: AbortSignal): Promise<void> {
    const account = payers[at];
    if (account === undefined) return;
    try {
      const counted = await call<string>(this.#rpc, 'eth_getTransactionCount', [
        account.address,
        'pending',
      ]);
      for (let nonce = Number(counted); !signal.aborted; nonce++) {
        const raw = await account.signTransaction({
          ...{ chainId, nonce, to: payee, value: 1n, gas: 21_000n, type: 'eip1559' },
          ...{ maxFeePerGas: 2_000_000_000n, maxPriorityFeePerGas: 0n },
        });
        this.#receipts.push(await call(this.#rpc, 'eth_sendRawTransactionSync', [raw]));
      }
    } catch {
      // It is down: what was not answered was not promised.
    }
  }

  async #checkReceipts(): Promise<void> {
    for (const { transactionHash: hash, blockHash } of this.#receipts) {
      const now = await call<Receipt | null>(this.#rpc, 'eth_getTransactionReceipt', [hash]);
      if (now?.blockHash === blockHash) continue;
      this.report.broken.push(`${hash} was final in ${blockHash}, is in ${now?.blockHash}`);
    }
  }

  /** The newest segment of the journal stays: what was heard a moment ago is in it. */
  async #checkJournal(): Promise<void> {
    const records = await this.#observer.readJournal(this.dir);
    const votes = records.filter((record) => record.t === 'vote');
    const kept = new Set(votes.map(({ vote }) => statementKey(vote.statement)));
    this.report.heard += this.#heard.length;
    for (const key of this.#heard) {
      if (!kept.has(key)) this.report.broken.push(`heard, and not in the journal: ${key}`);
    }
  }
}
