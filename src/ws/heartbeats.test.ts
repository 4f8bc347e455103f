import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Heartbeats, type Beating } from './heartbeats.js';

/** What happened to one that is looked after, in seconds from the start. */
class Patient implements Beating {
  dueAt = Infinity;
  readonly beats: number[] = [];
  readonly dues: number[] = [];
  private readonly begun = performance.now();

  due(): void {
    this.dues.push((performance.now() - this.begun) / 1000);
    this.dueAt = Infinity;
  }

  beat(): void {
    this.beats.push((performance.now() - this.begun) / 1000);
  }
}

describe('Heartbeats', () => {
  let heartbeats: Heartbeats;
  beforeEach(() => {
    vi.useFakeTimers();
    heartbeats = new Heartbeats();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('beat each twelve seconds', () => {
    const patient = new Patient();
    heartbeats.add(patient);
    vi.advanceTimersByTime(36_000);
    expect(patient.beats).toHaveLength(3);
    const [first = NaN, second = NaN, third = NaN] = patient.beats;
    expect([second - first, third - second]).toEqual([12, 12]);
  });

  test('are spread over the time between two of them', () => {
    const patients = Array.from({ length: 24 }, () => new Patient());
    for (const patient of patients) heartbeats.add(patient);
    vi.advanceTimersByTime(12_000);
    const seconds = patients.flatMap(({ beats }) => beats);
    expect(seconds).toHaveLength(24);
    for (const second of new Set(seconds)) expect(seconds.filter((one) => one === second)).toHaveLength(2);
  });

  test('tell one when it is due to the millisecond, and once', () => {
    const patient = new Patient();
    patient.dueAt = performance.now() + 5250;
    heartbeats.add(patient);
    vi.advanceTimersByTime(20_000);
    expect(patient.dues).toEqual([5.25]);
  });

  test('tell one that is put off at the later time alone', () => {
    const patient = new Patient();
    patient.dueAt = performance.now() + 3500;
    heartbeats.add(patient);
    vi.advanceTimersByTime(3200);
    patient.dueAt = performance.now() + 4000;
    vi.advanceTimersByTime(20_000);
    expect(patient.dues).toEqual([7.2]);
  });

  test('tell one whose time has passed already at the next turn', () => {
    const patient = new Patient();
    patient.dueAt = performance.now() - 1;
    heartbeats.add(patient);
    vi.advanceTimersByTime(2000);
    expect(patient.dues).toEqual([expect.closeTo(1, 1)]);
  });

  test('judge none when the process stood still itself, whose answers are not read yet', () => {
    const patients = Array.from({ length: 12 }, () => new Patient());
    for (const patient of patients) heartbeats.add(patient);
    vi.advanceTimersByTime(3000);
    const before = patients.flatMap(({ beats }) => beats).length;
    // Timers that fire late, as behind a long piece of work.
    const now = performance.now();
    const late = vi.spyOn(performance, 'now').mockReturnValue(now + 20_000);
    vi.advanceTimersByTime(1000);
    expect(patients.flatMap(({ beats }) => beats)).toHaveLength(before);
    late.mockReturnValue(now + 21_000);
    vi.advanceTimersByTime(1000);
    expect(patients.flatMap(({ beats }) => beats)).toHaveLength(before + 1);
    late.mockRestore();
  });

  test('leave one alone that is gone, and run no timer for nobody', () => {
    const patient = new Patient();
    patient.dueAt = performance.now() + 2500;
    const place = heartbeats.add(patient);
    vi.advanceTimersByTime(1000);
    patient.dueAt = Infinity;
    heartbeats.delete(patient, place);
    heartbeats.delete(patient, place);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(20_000);
    expect([patient.beats, patient.dues]).toEqual([[], []]);
  });
});
