import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { Block, Message } from '#consensus/core/types.ts';
import { decodeMessage, encodeMessage } from '#consensus/engine/codec.ts';
import { sha256 } from '#src/crypto/sha256.ts';
import { concatBytes, utf8 } from '#src/lib/bytes.ts';
import { encodeCertificate } from '#src/types/certificate.ts';
import { encodeRlp, uintToRlp } from '#src/types/rlp.ts';
import type { Epoch, Height, View } from '#src/types/units.ts';
import { type Vote, VoteKind, ZERO_HASH } from '#src/types/vote.ts';
import { makeBlock, Rig, statementOf } from './rig.ts';

const first = 1 as View;
const running: Rig[] = [];
afterEach(async () => {
  for (const rig of running.splice(0)) await rig.engine.stop();
});

function started(options = { leadsFirst: false }): { rig: Rig; block: Block; leader: number } {
  const rig = new Rig(options);
  running.push(rig);
  rig.start();
  rig.sent.length = 0;
  const leader = rig.schedule.leaderOf(first);
  return { rig, leader, block: makeBlock({ view: first, proposer: leader }) };
}

/** The kinds of votes that the engine sent to all. */
function votesOf(rig: Rig): number[] {
  return rig.sent.flatMap(({ bytes }) => {
    const message = decodeMessage(bytes, rig.ledger);
    return message.ok && message.value.t === 'vote' ? [message.value.vote.statement.kind] : [];
  });
}

const nullify = {
  kind: 2,
  epoch: 0 as Epoch,
  parentView: 0 as View,
  blockHash: ZERO_HASH,
} as const;

describe('an engine', () => {
  it('notarizes a good proposal, finalizes on the certificate, commits on the next', async () => {
    const { rig, block } = started();
    rig.receive(rig.proposalOf(block));
    await rig.settle();
    assert.deepEqual(votesOf(rig), [VoteKind.Notarize]);
    const others = [0, 1, 2, 3].filter((index) => index !== rig.me).slice(0, 3);
    const notarized = rig.certificate(statementOf(VoteKind.Notarize, block), others);
    rig.receive({ t: 'certificate', certificate: notarized });
    await rig.settle();
    assert.deepEqual(votesOf(rig), [VoteKind.Notarize, VoteKind.Finalize]);
    const finalized = rig.certificate(statementOf(VoteKind.Finalize, block), others);
    rig.receive({ t: 'certificate', certificate: finalized });
    await rig.settle();
    assert.deepEqual(rig.committed, [block]);
    assert.deepEqual(rig.penalties, []);
    assert.deepEqual(rig.fatal, []);
  });

  it('builds ahead on a good proposal where it leads next, on a bad one never', async () => {
    for (const good of [true, false]) {
      const { rig, block } = started();
      assert.equal(rig.schedule.leaderOf((first + 1) as View), rig.me, 'leads next');
      if (!good) rig.invalid.add(block.hash);
      rig.receive(rig.proposalOf(block));
      await rig.settle();
      const asked = rig.prepared.map(({ parent, view, parentView, proposer, timestampMs }) => {
        assert.ok(timestampMs > block.timestampMs);
        return [parent.hash, view, parentView, proposer];
      });
      assert.deepEqual(asked, good ? [[block.hash, first + 1, first, rig.me]] : []);
    }
  });

  it('builds nothing ahead, and looks at nothing, while the disk takes nothing', async () => {
    const { rig, block } = started();
    rig.receive(rig.proposalOf(block));
    rig.stalled = true;
    await rig.settle();
    assert.deepEqual(rig.prepared, []);
    rig.receive(rig.proposalOf(block));
    await rig.settle();
    assert.deepEqual(rig.executed, [block.hash], 'what came before');
  });

  it('68: nullifies a view whose block executes to something else', async () => {
    const { rig, block } = started();
    rig.invalid.add(block.hash);
    rig.receive(rig.proposalOf(block));
    await rig.settle();
    assert.deepEqual(votesOf(rig), [VoteKind.Nullify]);
  });

  it('stops when a quorum finalized what is invalid here', async () => {
    const { rig, block } = started();
    rig.invalid.add(block.hash);
    rig.receive(rig.proposalOf(block));
    const others = [0, 1, 2, 3].filter((index) => index !== rig.me);
    const certificate = rig.certificate(statementOf(VoteKind.Notarize, block), others);
    rig.receive({ t: 'certificate', certificate });
    await rig.settle();
    assert.equal(rig.fatal.length, 1);
  });

  it('asks for a block once when nothing can be in it, whatever the pool thinks', async () => {
    const { rig } = started({ leadsFirst: true });
    rig.pending = true;
    rig.engine.poolChanged();
    await rig.settle();
    assert.equal(rig.builds, 1);
    assert.equal(rig.engine.status.view, 1);
  });

  it('decodes no block that it did not ask for', async () => {
    const { rig, block } = started();
    const bytes = encodeMessage({ t: 'block', block }, rig.ledger);
    const blind = { ...rig.ledger, decode: () => assert.fail('decoded') };
    const refused = decodeMessage(bytes, blind, { proposal: () => null, block: () => 'NO' });
    assert.deepEqual(refused, { ok: false, refusal: { code: 'NO' } });
    rig.engine.receive('peer-x', bytes);
    await rig.settle();
    assert.deepEqual(rig.penalties, []);
  });

  const unvoted: { when: string; change: (block: Block, rig: Rig) => Partial<Block> }[] = [
    { when: '65: dated ten minutes ahead', change: () => ({ timestampMs: 1_600_000 }) },
    { when: '65: dated an hour ago', change: () => ({ timestampMs: 1_000_000 - 3_600_000 }) },
    { when: 'at the wrong height', change: () => ({ height: 2n as Height }) },
    { when: 'that names another proposer', change: (b) => ({ proposer: (b.proposer + 1) % 4 }) },
    { when: 'first proposed in another view', change: () => ({ view: 7 as View }) },
    { when: 'of another epoch', change: () => ({ epoch: 3 as Epoch }) },
  ];
  for (const { when, change } of unvoted) {
    it(`does not notarize a block ${when}`, async () => {
      const { rig, block, leader } = started();
      const other = makeBlock({ ...block, ...change(block, rig) });
      const vote = rig.sign(leader, { ...statementOf(VoteKind.Notarize, other), view: first });
      const { parentView } = other;
      const proposal = { view: first, parentView, block: other, vote, justify: [] };
      rig.receive({ t: 'proposal', proposal });
      await rig.settle();
      assert.ok(!votesOf(rig).includes(VoteKind.Notarize));
      assert.deepEqual(rig.fatal, []);
    });
  }

  it('63: ignores a proposal by someone who does not lead', async () => {
    const { rig, block, leader } = started();
    const other = makeBlock({ ...block, proposer: (leader + 1) % 4 });
    rig.receive(rig.proposalOf(other));
    await rig.settle();
    assert.deepEqual(votesOf(rig), []);
  });

  it('63: notarizes only the first of two proposals', async () => {
    const { rig, block } = started();
    rig.receive(rig.proposalOf(block));
    rig.receive(rig.proposalOf(makeBlock({ ...block, timestampMs: 1_000_001 })));
    await rig.settle();
    assert.equal(votesOf(rig).filter((kind) => kind === VoteKind.Notarize).length <= 1, true);
  });

  it('56, 57: counts a validator once, however often and whatever it votes', async () => {
    const { rig, block } = started();
    const twin = makeBlock({ ...block, timestampMs: 1_000_001 });
    const voter = [0, 1, 2, 3].find((index) => index !== rig.me) ?? 0;
    for (let i = 0; i < 1_000; i++) {
      rig.receive({ t: 'vote', vote: rig.sign(voter, statementOf(VoteKind.Notarize, block)) });
    }
    rig.receive({ t: 'vote', vote: rig.sign(voter, statementOf(VoteKind.Notarize, twin)) });
    await rig.settle();
    assert.equal(rig.engine.status.view, 1);
    assert.deepEqual(rig.penalties, []);
  });

  it('55: keeps nothing for views far ahead', async () => {
    const { rig } = started();
    const voter = [0, 1, 2, 3].find((index) => index !== rig.me) ?? 0;
    for (const view of [66, 1_000, 2 ** 53 - 1]) {
      rig.receive({ t: 'vote', vote: rig.sign(voter, { ...nullify, view: view as View }) });
    }
    await rig.settle();
    assert.equal(rig.engine.status.view, 1);
    assert.deepEqual(rig.fatal, []);
  });

  const forgeries: { when: string; forge: (rig: Rig, vote: Vote) => Vote }[] = [
    {
      when: '54: signed by another key',
      forge: (rig, v) => ({ ...rig.sign(v.signer, v.statement), signer: (v.signer + 1) % 4 }),
    },
    { when: '58: of an index outside the set', forge: (_, v) => ({ ...v, signer: 4 }) },
    { when: '58: of index 65,535', forge: (_, v) => ({ ...v, signer: 65_535 }) },
    {
      when: 'of another network',
      forge: (rig, v) => rig.sign(v.signer, v.statement, sha256(utf8('x'))),
    },
    { when: 'with a zero signature', forge: (_, v) => ({ ...v, signature: new Uint8Array(64) }) },
  ];
  for (const { when, forge } of forgeries) {
    it(`bans a peer that sends a vote ${when}`, async () => {
      const { rig, block } = started();
      const vote = rig.sign(0, statementOf(VoteKind.Notarize, block));
      rig.receive({ t: 'vote', vote: forge(rig, vote) });
      await rig.settle();
      assert.deepEqual(
        rig.penalties.map(({ penalty }) => penalty),
        ['ban'],
      );
    });
  }

  it('61: bans a peer that sends a certificate which does not prove', async () => {
    const { rig, block } = started();
    const statement = statementOf(VoteKind.Finalize, block);
    const bad = [
      rig.certificate(statement, [0, 1]),
      rig.certificate(statement, [0, 1, 2], sha256(utf8('other network'))),
      { ...rig.certificate(statement, [0, 1, 2]), signers: [0, 1, 3] },
      { ...rig.certificate(statement, [0, 1, 2]), setSize: 5 },
    ];
    for (const certificate of bad) rig.receive({ t: 'certificate', certificate });
    await rig.settle();
    assert.equal(rig.penalties.length, bad.length);
    assert.ok(rig.penalties.every(({ penalty }) => penalty === 'ban'));
    assert.deepEqual(rig.committed, []);
  });

  it('52: bans a peer for bytes that are no message', async () => {
    const { rig, block } = started();
    const good = encodeMessage(rig.proposalOf(block), rig.ledger);
    let deep: Uint8Array = Uint8Array.of(0xc0);
    for (let i = 0; i < 40; i++) deep = concatBytes(Uint8Array.of(0xc0 + deep.length), deep);
    const bad = [
      utf8('GET / HTTP/1.1'),
      Uint8Array.of(0xc0),
      encodeRlp([uintToRlp(99)]),
      encodeRlp([uintToRlp(1), utf8('x'), utf8('y')]),
      concatBytes(good, Uint8Array.of(0)),
      good.subarray(0, good.length - 1),
      deep,
      encodeRlp([uintToRlp(4), uintToRlp(0), uintToRlp(9), uintToRlp(3)]),
      encodeRlp([uintToRlp(5), Array.from({ length: 100 }, () => utf8('c'))]),
    ];
    for (const bytes of bad) rig.engine.receive('peer-x', bytes);
    await rig.settle();
    assert.deepEqual(
      rig.penalties.map(({ penalty }) => penalty),
      bad.map(() => 'ban'),
    );
    assert.deepEqual(rig.fatal, []);
  });

  it('52: survives every truncation and flipped bit of a message', async () => {
    const { rig, block } = started();
    const others = [0, 1, 2, 3].filter((index) => index !== rig.me);
    const messages: Message[] = [
      rig.proposalOf(block),
      { t: 'vote', vote: rig.sign(others[0] ?? 0, statementOf(VoteKind.Notarize, block)) },
      { t: 'certificate', certificate: rig.certificate(statementOf(1, block), others) },
    ];
    for (const message of messages) {
      const bytes = encodeMessage(message, rig.ledger);
      for (let at = 0; at < bytes.length; at++) {
        rig.engine.receive('peer-x', bytes.subarray(0, at));
        const flipped = Uint8Array.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
        rig.engine.receive('peer-x', flipped);
      }
    }
    await rig.settle();
    assert.deepEqual(rig.fatal, []);
    assert.deepEqual(rig.committed, []);
  });
});

describe('catching up', () => {
  const setup = () => {
    const { rig, block, leader } = started();
    const second = makeBlock({
      view: 2 as View,
      parentView: first,
      parentHash: block.hash,
      height: 2n as Height,
      timestampMs: 1_000_500,
      proposer: leader,
    });
    const signers = [0, 1, 2];
    const certificate = rig.certificate(statementOf(VoteKind.Finalize, second), signers);
    const range = (blocks: readonly Block[], proof = certificate) =>
      encodeRlp([encodeCertificate(proof), blocks.map((one) => rig.ledger.encode(one))]);
    /** A final certificate for a block that nobody sends: the range is asked for. */
    const learn = async () => {
      rig.receive({ t: 'certificate', certificate });
      await rig.settle();
      rig.now += 1_000;
      rig.receive({ t: 'certificate', certificate });
      rig.engine.peerConnected('peer-x');
      await rig.settle();
    };
    return { rig, block, second, range, learn, signers };
  };

  it('commits a range that its last certificate proves', async () => {
    const { rig, block, second, range, learn } = setup();
    rig.answer = () => range([block, second]);
    await learn();
    assert.deepEqual(rig.committed, [block, second]);
    assert.equal(rig.engine.status.view, 3);
  });

  it('72: takes nothing from ranges that do not prove, and asks somebody else', async () => {
    const { rig, block, second, range, learn, signers } = setup();
    const other = rig.certificate(statementOf(VoteKind.Finalize, block), signers);
    const notarized = rig.certificate(statementOf(VoteKind.Notarize, second), signers);
    const foreign = rig.certificate(
      statementOf(VoteKind.Finalize, second),
      signers,
      sha256(utf8('another network')),
    );
    const answers = [
      utf8('nonsense'),
      range([second, block]),
      range([second]),
      range([block, second], other),
      range([block, second], notarized),
      range([block, second], foreign),
      range([block, second], rig.certificate(statementOf(3, second), [0, 1])),
      encodeRlp([encodeCertificate(other), [utf8('not a block')]]),
      encodeRlp([]),
      range([block, second]),
    ];
    let turn = 0;
    rig.answer = () => answers[Math.min(turn++, answers.length - 1)] ?? null;
    for (let i = 0; i < 10 && rig.committed.length === 0; i++) await learn();
    assert.deepEqual(rig.committed, [block, second]);
    assert.equal(rig.penalties.length, answers.length - 2, 'each lie costs standing');
    assert.deepEqual(rig.fatal, []);
  });

  it('asks for the next range before it writes the one that it has', async () => {
    const { rig, block, second, range, signers, learn } = setup();
    const certificate = rig.certificate(statementOf(VoteKind.Finalize, block), signers);
    const had: number[] = [];
    const behind: number[] = [];
    rig.answer = () => {
      had.push(rig.committed.length);
      behind.push(rig.engine.status.behind);
      return had.length === 1 ? range([block], certificate) : range([second]);
    };
    await learn();
    assert.deepEqual(rig.committed, [block, second]);
    assert.deepEqual(had, [0, 0]);
    // What was proven is told as long as it lasts, and not what somebody claims.
    assert.deepEqual(behind, [0, 1]);
    assert.equal(rig.engine.status.behind, 0);
    assert.deepEqual(rig.penalties, []);
  });

  it('blames nobody when its own commits move on while the answer travels', async () => {
    const { rig, block, second, range, learn } = setup();
    rig.answer = () => {
      if (rig.committed.length === 0) rig.committed.push(block);
      return range([block, second]);
    };
    await learn();
    assert.deepEqual(rig.committed, [block, second]);
    assert.deepEqual(rig.penalties, []);
  });

  it('71: answers no request that is not a bounded range', async () => {
    const { rig } = setup();
    for (const request of [
      utf8('x'),
      encodeRlp([]),
      encodeRlp([uintToRlp(0), uintToRlp(10)]),
      encodeRlp([uintToRlp(1)]),
      encodeRlp([new Uint8Array(9).fill(0xff), uintToRlp(1)]),
    ]) {
      assert.equal(await rig.engine.answer(request), null);
    }
    assert.deepEqual(
      await rig.engine.answer(encodeRlp([uintToRlp((1n << 64n) - 1n), uintToRlp(2 ** 31)])),
      encodeRlp([]),
    );
  });
});
