import { type RawData, WebSocket } from 'ws';
import type { Caller } from './access/access.ts';
import { type Dispatcher, isExhausted, type Session } from './dispatch.ts';
import type { RpcLimits } from './limits.ts';
import type { Reader, Unread } from './unread.ts';

/** RFC 6455 7.4.1; 1013 is IANA's "try again later". */
const CLOSE = { goingAway: 1001, policy: 1008, unread: 1013 } as const;

/** One WebSocket client. Never waited for: who does not read is cut. */
export class SocketSession implements Session, Reader {
  readonly subscriptions = new Set<string>();
  readonly #socket: WebSocket;
  readonly #limits: RpcLimits;
  readonly #unread: Unread;
  readonly caller: Caller;
  #answers = true;
  #pings = 0;

  constructor(
    socket: WebSocket,
    dispatcher: Dispatcher,
    caller: Caller,
    { limits, unread }: { limits: RpcLimits; unread: Unread },
  ) {
    this.#socket = socket;
    this.#unread = unread;
    socket.on('close', () => unread.forget(this));
    this.caller = caller;
    this.#limits = limits;
    socket.on('message', (data: RawData) => this.#receive(data, dispatcher));
    socket.on('pong', () => {
      this.#answers = true;
    });
    socket.on('ping', () => {
      if (++this.#pings > limits.socketPingsPerIntervalMax) this.#cut(CLOSE.policy, 'pings');
    });
    // The library closes with the code that fits (1002, 1007, 1009); there is nothing to add.
    socket.on('error', () => {});
  }

  onClose(listener: () => void): void {
    this.#socket.on('close', listener);
  }

  get isSlow(): boolean {
    return this.#socket.bufferedAmount > this.#limits.socketUnreadBytesMax / 4;
  }

  send(text: string): void {
    const socket = this.#socket;
    if (socket.readyState !== WebSocket.OPEN) return;
    // Before this message: one answer may be longer than what we keep for who does not read.
    if (socket.bufferedAmount > this.#limits.socketUnreadBytesMax) return this.cut();
    const { length } = text;
    this.#unread.add(this, length);
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(text, () => this.#unread.read(this, length));
    }
  }

  cut(): void {
    this.#cut(CLOSE.unread, 'unread messages');
  }

  /** Once an interval. */
  checkAlive(): void {
    if (this.caller.isRevoked) return this.#cut(CLOSE.policy, 'the key was revoked');
    if (!this.#answers) return this.#socket.terminate();
    this.#answers = false;
    this.#pings = 0;
    this.#socket.ping();
  }

  close(): void {
    this.#cut(CLOSE.goingAway, 'the server closes');
  }

  #receive(data: RawData, dispatcher: Dispatcher): void {
    if (this.#socket.readyState !== WebSocket.OPEN || !Buffer.isBuffer(data)) return;
    const caller = this.caller;
    if (caller.isRevoked) return this.#cut(CLOSE.policy, 'the key was revoked');
    if (isExhausted(caller)) return this.send(dispatcher.exhausted());
    if (dispatcher.isBusy) return this.send(dispatcher.busy());
    const answer = dispatcher.answer(data, { caller, session: this });
    if (answer instanceof Promise) void answer.then((text) => this.#reply(text));
    else this.#reply(answer);
  }

  #reply(text: string | null): void {
    if (text !== null) this.send(text);
  }

  #cut(code: number, reason: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.close(code, reason);
    setTimeout(() => this.#socket.terminate(), this.#limits.lingerMs).unref();
  }
}
