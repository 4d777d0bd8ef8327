/**
 * The wires between validators. Genesis names a front port for each validator, and whoever dials it
 * is found out by the socket's owner in /proc (Linux): so every ordered pair has its own faults,
 * whichever of the two has dialled, and the validators run with an ordinary genesis.
 *
 * A stalled direction carries nothing until it is healed, as when packets are lost and TCP repeats
 * them; no new connection gets through either. TCP loses no byte of a connection that lives, so
 * loss shows as stalls and resets.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

export type Wire = {
  /** Nothing passes. */
  stalled: boolean;
  delayMs: number;
  /** Uniform, added to the delay; order is kept. */
  jitterMs: number;
  /** Null: as fast as it goes. */
  bytesPerSecond: number | null;
};

export type Endpoint = {
  readonly front: number;
  readonly target: number;
  pid(): number | null;
};

/** What one direction may hold before its sender has to wait. */
const heldBytesMax = 256 * 1024;

export class FaultyNet {
  readonly #endpoints: readonly Endpoint[];
  readonly #wires: Wire[][];
  readonly #servers: Server[] = [];
  readonly #calls = new Set<Call>();
  /** Connections that nobody could be found for. */
  strangers = 0;

  private constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
    this.#wires = endpoints.map(() => endpoints.map(() => sound()));
  }

  static async open(endpoints: readonly Endpoint[]): Promise<FaultyNet> {
    const net = new FaultyNet(endpoints);
    for (const [to, { front }] of endpoints.entries()) {
      const server = createServer({ pauseOnConnect: true }, (socket) => net.#accept(socket, to));
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(front, '127.0.0.1', resolve);
      });
      net.#servers.push(server);
    }
    return net;
  }

  /** One direction. */
  set(from: number, to: number, change: Partial<Wire>): void {
    Object.assign(this.wire(from, to), change);
    for (const call of this.#calls) call.wake();
  }

  setAll(change: Partial<Wire>): void {
    for (const from of this.#wires.keys()) {
      for (const to of this.#wires.keys()) this.set(from, to, change);
    }
  }

  /** Between different groups nothing passes; whoever is in no group is alone. */
  partition(...groups: readonly (readonly number[])[]): void {
    const groupOf = (index: number) => groups.findIndex((group) => group.includes(index));
    for (const from of this.#wires.keys()) {
      for (const to of this.#wires.keys()) {
        const apart = groupOf(from) !== groupOf(to) || groupOf(from) < 0;
        this.set(from, to, { stalled: from !== to && apart });
      }
    }
  }

  heal(): void {
    this.setAll(sound());
  }

  /** Ends the connections of a pair, which may dial again at once. */
  reset(a: number, b: number): number {
    let ended = 0;
    for (const call of [...this.#calls]) {
      const { from, to } = call;
      if (!((from === a && to === b) || (from === b && to === a))) continue;
      call.end();
      ended++;
    }
    return ended;
  }

  wire(from: number, to: number): Wire {
    const wire = this.#wires[from]?.[to];
    if (wire === undefined) throw new Error(`no wire from ${from} to ${to}`);
    return wire;
  }

  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise((done) => server.close(done)));
    for (const call of [...this.#calls]) call.end();
    await Promise.all(closed);
  }

  #accept(socket: Socket, to: number): void {
    const from = this.#dialler(socket.remotePort ?? 0);
    const target = this.#endpoints[to]?.target;
    if (from === null || target === undefined) {
      this.strangers++;
      socket.resetAndDestroy();
      return;
    }
    const wires = { out: this.wire(from, to), back: this.wire(to, from) };
    const call = new Call(socket, { from, to }, target, wires, () => this.#calls.delete(call));
    this.#calls.add(call);
    call.wake();
  }

  #dialler(port: number): number | null {
    const inode = socketInode(port);
    if (inode === null) return null;
    const found = this.#endpoints.findIndex(({ pid }) => owns(pid(), inode));
    return found < 0 ? null : found;
  }
}

function sound(): Wire {
  return { stalled: false, delayMs: 0, jitterMs: 0, bytesPerSecond: null };
}

/** One connection: what its dialler says goes out, what it hears comes back. */
class Call {
  readonly from: number;
  readonly to: number;
  readonly #near: Socket;
  readonly #port: number;
  readonly #wires: { out: Wire; back: Wire };
  readonly #onEnd: () => void;
  #pipes: Pipe[] = [];
  #far: Socket | null = null;
  #ended = false;

  constructor(
    near: Socket,
    pair: { from: number; to: number },
    port: number,
    wires: { out: Wire; back: Wire },
    onEnd: () => void,
  ) {
    this.from = pair.from;
    this.to = pair.to;
    this.#near = near;
    this.#port = port;
    this.#wires = wires;
    this.#onEnd = onEnd;
    near.setNoDelay(true);
    near.on('error', () => this.end());
    near.on('close', () => this.end());
  }

  /** A handshake takes both directions; after it each goes by itself. */
  wake(): void {
    if (this.#far === null && !this.#wires.out.stalled && !this.#wires.back.stalled) {
      this.#far = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
      this.#far.on('error', () => this.end());
      this.#far.on('close', () => this.end());
      this.#pipes = [
        new Pipe(this.#near, this.#far, this.#wires.out),
        new Pipe(this.#far, this.#near, this.#wires.back),
      ];
    }
    for (const pipe of this.#pipes) pipe.pump();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const pipe of this.#pipes) pipe.stop();
    for (const socket of [this.#near, this.#far]) {
      if (socket === null || socket.destroyed) continue;
      // Reset while its end is on the way, the handle would never close (libuv).
      if (socket.connecting || socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
    this.#onEnd();
  }
}

class Pipe {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #wire: Wire;
  readonly #held: { due: number; bytes: Buffer }[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #lastDue = 0;
  #stopped = false;

  constructor(source: Socket, sink: Socket, wire: Wire) {
    this.#source = source;
    this.#sink = sink;
    this.#wire = wire;
    source.on('data', (bytes: Buffer) => this.#take(bytes));
    source.on('end', () => sink.end());
    source.resume();
  }

  pump(): void {
    if (this.#stopped) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (;;) {
      const first = this.#held[0];
      if (first === undefined || this.#wire.stalled) return;
      const wait = first.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.max(1, wait));
        return;
      }
      this.#held.shift();
      this.#heldBytes -= first.bytes.length;
      this.#sink.write(first.bytes);
      if (this.#heldBytes < heldBytesMax) this.#source.resume();
    }
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #take(bytes: Buffer): void {
    const { delayMs, jitterMs, bytesPerSecond } = this.#wire;
    const now = performance.now();
    let due = Math.max(now + delayMs + Math.random() * jitterMs, this.#lastDue);
    if (bytesPerSecond !== null) due += (bytes.length * 1_000) / bytesPerSecond;
    this.#lastDue = due;
    this.#held.push({ due, bytes });
    this.#heldBytes += bytes.length;
    if (this.#heldBytes >= heldBytesMax) this.#source.pause();
    this.pump();
  }
}

/** proc(5) `net/tcp`: local address, …, inode; the established socket whose local port it is. */
function socketInode(localPort: number): string | null {
  const wanted = `0100007F:${localPort.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === wanted && fields[9] !== '0') return fields[9] ?? null;
  }
  return null;
}

function owns(pid: number | null, inode: string): boolean {
  if (pid === null) return false;
  const dir = `/proc/${pid}/fd`;
  try {
    return readdirSync(dir).some((fd) => {
      try {
        return readlinkSync(`${dir}/${fd}`) === `socket:[${inode}]`;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}
