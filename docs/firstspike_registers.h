/* Written by `python -m tools.docs` from hw/spec/registers.py; do not edit. */
#ifndef FIRSTSPIKE_REGISTERS_H
#define FIRSTSPIKE_REGISTERS_H

#define FIRSTSPIKE_MAGIC_VALUE                      0x4b505346u
#define FIRSTSPIKE_SPAN                             0x100u

/* R: The bytes FSPK. */
#define FIRSTSPIKE_MAGIC                            0x00u

/* R: Version of the specification. */
#define FIRSTSPIKE_VERSION                          0x04u
#define FIRSTSPIKE_VERSION_MINOR_SHIFT              0
#define FIRSTSPIKE_VERSION_MINOR_MASK               0x0000ffffu
#define FIRSTSPIKE_VERSION_MAJOR_SHIFT              16
#define FIRSTSPIKE_VERSION_MAJOR_MASK               0xffff0000u

/* R: Configuration hash, low half. */
#define FIRSTSPIKE_HASH_LOW                         0x08u

/* R: Configuration hash, high half. */
#define FIRSTSPIKE_HASH_HIGH                        0x0cu

/* PULSE: Commands. */
#define FIRSTSPIKE_CONTROL                          0x10u
#define FIRSTSPIKE_CONTROL_START_SHIFT              0
#define FIRSTSPIKE_CONTROL_START_MASK               0x00000001u
#define FIRSTSPIKE_CONTROL_RESET_SHIFT              1
#define FIRSTSPIKE_CONTROL_RESET_MASK               0x00000002u
#define FIRSTSPIKE_CONTROL_RUN_SHIFT                2
#define FIRSTSPIKE_CONTROL_RUN_MASK                 0x00000004u

/* R: State of the last instruction. */
#define FIRSTSPIKE_STATUS                           0x14u
#define FIRSTSPIKE_STATUS_BUSY_SHIFT                0
#define FIRSTSPIKE_STATUS_BUSY_MASK                 0x00000001u
#define FIRSTSPIKE_STATUS_DONE_SHIFT                1
#define FIRSTSPIKE_STATUS_DONE_MASK                 0x00000002u
#define FIRSTSPIKE_STATUS_ERROR_SHIFT               8
#define FIRSTSPIKE_STATUS_ERROR_MASK                0x0000ff00u

/* RW: Synapse memory address in 32-bit words; a beat starts at a multiple of the words of a beat. */
#define FIRSTSPIKE_MEMORY_ADDRESS                   0x18u

/* WINDOW: Synapse memory; a beat is written with its last word, bits beyond the beat are ignored and read as zero. */
#define FIRSTSPIKE_MEMORY_DATA                      0x1cu

/* RW: Input buffer address in elements. */
#define FIRSTSPIKE_INPUT_ADDRESS                    0x20u

/* WINDOW: Input buffer, one signed 16-bit element in the low half; write only. A block of 32 is written in order from its first element, the last one up to the vector's end. */
#define FIRSTSPIKE_INPUT_DATA                       0x24u

/* RW: Output buffer address in words: the output's number times 2, plus 1 for the high half. */
#define FIRSTSPIKE_OUTPUT_ADDRESS                   0x28u

/* WINDOW: Accumulators, sign-extended to 64 bits; read only. */
#define FIRSTSPIKE_OUTPUT_DATA                      0x2cu

/* RW: Size of the instruction. */
#define FIRSTSPIKE_SHAPE                            0x30u
#define FIRSTSPIKE_SHAPE_INPUTS_SHIFT               0
#define FIRSTSPIKE_SHAPE_INPUTS_MASK                0x0000ffffu
#define FIRSTSPIKE_SHAPE_TILES_SHIFT                16
#define FIRSTSPIKE_SHAPE_TILES_MASK                 0xffff0000u

/* RW: Beat address of the first tile: of a whole bus beat. */
#define FIRSTSPIKE_WEIGHT_BASE                      0x34u

/* RW: How to read inputs and weights. */
#define FIRSTSPIKE_MODE                             0x38u
#define FIRSTSPIKE_MODE_TABLE_SHIFT                 0
#define FIRSTSPIKE_MODE_TABLE_MASK                  0x0000000fu
#define FIRSTSPIKE_MODE_FORMAT_SHIFT                4
#define FIRSTSPIKE_MODE_FORMAT_MASK                 0x00000010u
#define FIRSTSPIKE_MODE_CODES_SHIFT                 5
#define FIRSTSPIKE_MODE_CODES_MASK                  0x00000020u
#define FIRSTSPIKE_MODE_SUMS_SHIFT                  6
#define FIRSTSPIKE_MODE_SUMS_MASK                   0x00000040u
#define FIRSTSPIKE_MODE_FIXED_SHIFT                 7
#define FIRSTSPIKE_MODE_FIXED_MASK                  0x00000080u
#define FIRSTSPIKE_MODE_VECTOR_SHIFT                8
#define FIRSTSPIKE_MODE_VECTOR_MASK                 0x00003f00u
#define FIRSTSPIKE_MODE_ENCODE_SHIFT                14
#define FIRSTSPIKE_MODE_ENCODE_MASK                 0x00004000u

/* RW: Quantizer of the input tensor. */
#define FIRSTSPIKE_QUANTIZER                        0x3cu
#define FIRSTSPIKE_QUANTIZER_CONSTANT_SHIFT         0
#define FIRSTSPIKE_QUANTIZER_CONSTANT_MASK          0x00000fffu
#define FIRSTSPIKE_QUANTIZER_THRESHOLD_SHIFT        12
#define FIRSTSPIKE_QUANTIZER_THRESHOLD_MASK         0x000ff000u
#define FIRSTSPIKE_QUANTIZER_SILENT_SHIFT           20
#define FIRSTSPIKE_QUANTIZER_SILENT_MASK            0x0ff00000u

/* R: Base exponent of the vector that `mode` names. */
#define FIRSTSPIKE_SCALE_BASE                       0x40u

/* RW: Fault injection for tests; acts in the next instruction. */
#define FIRSTSPIKE_FAULT                            0x44u
#define FIRSTSPIKE_FAULT_KIND_SHIFT                 0
#define FIRSTSPIKE_FAULT_KIND_MASK                  0x00000003u
#define FIRSTSPIKE_FAULT_BIT_SHIFT                  2
#define FIRSTSPIKE_FAULT_BIT_MASK                   0x000000fcu
#define FIRSTSPIKE_FAULT_INDEX_SHIFT                8
#define FIRSTSPIKE_FAULT_INDEX_MASK                 0xffffff00u

/* RW: Byte address of the program, a multiple of 64. */
#define FIRSTSPIKE_PROGRAM                          0x48u

/* RW: Token id that the program is run for. */
#define FIRSTSPIKE_TOKEN                            0x4cu

/* RW: Position of the token, counted from 0, below 65,535. */
#define FIRSTSPIKE_POSITION                         0x50u

/* R: Number of the program's instruction that was reached. */
#define FIRSTSPIKE_INSTRUCTION                      0x54u

/* RW: Interrupt request. */
#define FIRSTSPIKE_INTERRUPT                        0x58u
#define FIRSTSPIKE_INTERRUPT_ENABLE_SHIFT           0
#define FIRSTSPIKE_INTERRUPT_ENABLE_MASK            0x00000001u

/* RW: Word of the largest logits. */
#define FIRSTSPIKE_BEST_ADDRESS                     0x5cu

/* WINDOW: The largest logits of the last token, the largest first: id, then logit; read only. */
#define FIRSTSPIKE_BEST_DATA                        0x60u

/* R: Clock cycles of the program so far. */
#define FIRSTSPIKE_TOKEN_CYCLES                     0x64u

/* RW: Vector memory address in words. */
#define FIRSTSPIKE_VECTOR_ADDRESS                   0x68u

/* WINDOW: Vector memory, a sign-extended word, to look into a token; not while one runs. */
#define FIRSTSPIKE_VECTOR_DATA                      0x6cu

/* R: What a program waits for; names the unit where one does not end. */
#define FIRSTSPIKE_WAITING                          0x70u
#define FIRSTSPIKE_WAITING_FETCH_SHIFT              0
#define FIRSTSPIKE_WAITING_FETCH_MASK               0x00000001u
#define FIRSTSPIKE_WAITING_LOADER_SHIFT             1
#define FIRSTSPIKE_WAITING_LOADER_MASK              0x00000002u
#define FIRSTSPIKE_WAITING_ENCODER_SHIFT            2
#define FIRSTSPIKE_WAITING_ENCODER_MASK             0x00000004u
#define FIRSTSPIKE_WAITING_MATRIX_SHIFT             3
#define FIRSTSPIKE_WAITING_MATRIX_MASK              0x00000008u
#define FIRSTSPIKE_WAITING_DRAIN_SHIFT              4
#define FIRSTSPIKE_WAITING_DRAIN_MASK               0x00000010u
#define FIRSTSPIKE_WAITING_EMBED_SHIFT              5
#define FIRSTSPIKE_WAITING_EMBED_MASK               0x00000020u
#define FIRSTSPIKE_WAITING_FEED_SHIFT               6
#define FIRSTSPIKE_WAITING_FEED_MASK                0x00000040u
#define FIRSTSPIKE_WAITING_SOFTMAX_SHIFT            7
#define FIRSTSPIKE_WAITING_SOFTMAX_MASK             0x00000080u
#define FIRSTSPIKE_WAITING_ROTATE_SHIFT             8
#define FIRSTSPIKE_WAITING_ROTATE_MASK              0x00000100u
#define FIRSTSPIKE_WAITING_KEEP_SHIFT               9
#define FIRSTSPIKE_WAITING_KEEP_MASK                0x00000200u
#define FIRSTSPIKE_WAITING_WRITES_SHIFT             10
#define FIRSTSPIKE_WAITING_WRITES_MASK              0x00000400u
#define FIRSTSPIKE_WAITING_FORGOTTEN_SHIFT          11
#define FIRSTSPIKE_WAITING_FORGOTTEN_MASK           0x00000800u
#define FIRSTSPIKE_WAITING_COMBINE_SHIFT            12
#define FIRSTSPIKE_WAITING_COMBINE_MASK             0x00001000u

/* R: Codes that are levels of the ladder and not silent. */
#define FIRSTSPIKE_SPIKES                           0x80u

/* R: Silent codes, padding excluded. */
#define FIRSTSPIKE_SILENT                           0x84u

/* R: Codes beyond the ladder. */
#define FIRSTSPIKE_INTEGER_EVENTS                   0x88u

/* R: Occupied levels, coarse and fine windows together. */
#define FIRSTSPIKE_STEPS                            0x8cu

/* R: Weight rows read from synapse memory; from external memory, each once for a tile. */
#define FIRSTSPIKE_ROWS_READ                        0x90u

/* R: Beats read from synapse memory, scales and row sums included. */
#define FIRSTSPIKE_BEATS_READ                       0x94u

/* R: Clock cycles from start to done. */
#define FIRSTSPIKE_CYCLES                           0x98u

/* R: Cycles in which the rows waited for the group scaler. */
#define FIRSTSPIKE_STALL_SCALER                     0x9cu

/* R: Cycles in which the lanes waited for external memory and for nothing else. */
#define FIRSTSPIKE_STALL_MEMORY                     0xa0u

/* R: Beats that were read through: rows of external memory that do not fire. */
#define FIRSTSPIKE_BEATS_HOLE                       0xa4u

/* R: Cycles in which the lanes waited for the encoder's next event. */
#define FIRSTSPIKE_STALL_ENCODER                    0xa8u

/* RW: Arrays of the instruction; only of cores with crossbars, as all that follows. */
#define FIRSTSPIKE_ARRAY                            0xe0u
#define FIRSTSPIKE_ARRAY_MATRIX_SHIFT               0
#define FIRSTSPIKE_ARRAY_MATRIX_MASK                0x0000ffffu
#define FIRSTSPIKE_ARRAY_TILE_SHIFT                 16
#define FIRSTSPIKE_ARRAY_TILE_MASK                  0xffff0000u

/* R: Time steps in which word lines of an array were raised, phases apart. */
#define FIRSTSPIKE_ARRAY_STEPS                      0xe4u

/* R: Readings of columns that were converted. */
#define FIRSTSPIKE_CONVERSIONS                      0xe8u

/* R: Word lines that were raised. */
#define FIRSTSPIKE_LINES_RAISED                     0xecu

/* Values of status.error. */
#define FIRSTSPIKE_ERROR_NONE                       0
#define FIRSTSPIKE_ERROR_INPUTS                     1
#define FIRSTSPIKE_ERROR_OUTPUTS                    2
#define FIRSTSPIKE_ERROR_MEMORY                     3
#define FIRSTSPIKE_ERROR_MODE                       4
#define FIRSTSPIKE_ERROR_BUSY                       5
#define FIRSTSPIKE_ERROR_RESPONSE                   6
#define FIRSTSPIKE_ERROR_PROGRAM                    7

/* Values of mode.table. */
#define FIRSTSPIKE_TABLE_TTFS8                      1
#define FIRSTSPIKE_TABLE_TTFS                       2
#define FIRSTSPIKE_TABLE_MTTFS                      3
#define FIRSTSPIKE_TABLE_SIGNED8                    4
#define FIRSTSPIKE_TABLE_SIGNED16                   5
#define FIRSTSPIKE_TABLE_COMPANDED                  0
#define FIRSTSPIKE_TABLE_OCTAVE                     6
#define FIRSTSPIKE_TABLE_FP4                        7
#define FIRSTSPIKE_TABLE_INTEGER                    8

/* Values of mode.format. */
#define FIRSTSPIKE_FORMAT_W4                        0
#define FIRSTSPIKE_FORMAT_W8                        1

#endif
