import type { Message } from '#consensus/core/types.ts';
import { ed25519Verify } from '#src/crypto/ed25519.ts';
import { bytesEqual } from '#src/lib/bytes.ts';
import { type Certificate, type VerifiedVotes, verifyCertificate } from '#src/types/certificate.ts';
import type { Epoch } from '#src/types/units.ts';
import type { ValidatorSet } from '#src/types/validatorSet.ts';
import { encodeStatement, type Statement, statementKey, type Vote } from '#src/types/vote.ts';

/** Three kinds of votes, two of each before the second is proof of a fault. */
const rememberedPerSigner = 6;

/**
 * Checks every signature before the core hears of it, and remembers which votes it has checked, so
 * that a certificate that comes after its votes costs nothing.
 */
export class Verifier {
  readonly #set: ValidatorSet;
  readonly #epoch: Epoch;
  readonly #networkId: Uint8Array;
  #forgotten = 0;
  readonly #verified = new Map<number, Map<string, Uint8Array>>();
  /** The last statement's bytes: the votes of one round are checked one after the other. */
  #lastKey = '';
  #lastBytes: Uint8Array = new Uint8Array(0);

  constructor(set: ValidatorSet, epoch: Epoch, networkId: Uint8Array) {
    this.#set = set;
    this.#epoch = epoch;
    this.#networkId = networkId;
  }

  /** The code of the first thing that is wrong, or null. */
  judge(message: Message): string | null {
    switch (message.t) {
      case 'vote':
        return this.vote(message.vote) ? null : 'VOTE_SIGNATURE';
      case 'proposal':
        if (!this.vote(message.proposal.vote)) return 'VOTE_SIGNATURE';
        return this.#certificates(message.proposal.justify);
      case 'certificate':
        return this.#certificates([message.certificate]);
      case 'status':
        return message.certificate === null ? null : this.#certificates([message.certificate]);
      case 'certificates':
        return this.#certificates(message.certificates);
      case 'recalled':
        return message.votes.every((vote) => this.vote(vote)) ? null : 'VOTE_SIGNATURE';
      default:
        return null;
    }
  }

  vote(vote: Vote): boolean {
    const { statement, signer, signature } = vote;
    const key = this.#set.validators[signer]?.consensusKey;
    if (key === undefined || statement.epoch !== this.#epoch) return false;
    if (this.known(statement, signer, signature)) return true;
    if (!ed25519Verify(key, this.bytesOf(statement), signature)) return false;
    this.remember(vote);
    return true;
  }

  /** Also for own votes: nothing needs to check them again. */
  remember({ statement, signer, signature }: Vote): void {
    // What is final is not asked about again.
    if (statement.view <= this.#forgotten) return;
    let votes = this.#verified.get(statement.view);
    if (votes === undefined) {
      votes = new Map();
      this.#verified.set(statement.view, votes);
    }
    const key = `${signer}.${statementKey(statement)}`;
    // A validator that signs without end costs its peers time, not memory.
    if (votes.size < this.#set.validators.length * rememberedPerSigner) votes.set(key, signature);
  }

  forgetThrough(view: number): void {
    this.#forgotten = Math.max(this.#forgotten, view);
    for (const at of this.#verified.keys()) if (at <= view) this.#verified.delete(at);
  }

  bytesOf(statement: Statement): Uint8Array {
    const key = statementKey(statement);
    if (key !== this.#lastKey) {
      this.#lastBytes = encodeStatement(statement, this.#networkId);
      this.#lastKey = key;
    }
    return this.#lastBytes;
  }

  /** Whether exactly this signature was checked before. */
  readonly known: VerifiedVotes = (statement, signer, signature) => {
    const known = this.#verified.get(statement.view)?.get(`${signer}.${statementKey(statement)}`);
    return known !== undefined && bytesEqual(known, signature);
  };

  #certificates(certificates: readonly Certificate[]): string | null {
    for (const certificate of certificates) {
      const verdict = verifyCertificate(
        certificate,
        this.#set,
        this.#epoch,
        this.#networkId,
        this.known,
      );
      if (!verdict.ok) return verdict.refusal.code;
      const { statement, signers, signatures } = certificate;
      for (const [position, signer] of signers.entries()) {
        const signature = signatures[position];
        if (signature !== undefined) this.remember({ statement, signer, signature });
      }
    }
    return null;
  }
}
