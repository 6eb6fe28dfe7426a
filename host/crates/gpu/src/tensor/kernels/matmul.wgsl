// Products of matrices, in tiles of 64 × 64; one invocation has 4 × 4 of them.
//
// `numbers[0]`: rows, columns, and what is between. Axes are those of batches, with the steps of both operands.

const TILE = 64u;
const DEPTH = 16u;

// Four neighbours at a time: rows of the left, columns of the right.
var<workgroup> left: array<array<vec4<f32>, 16>, DEPTH>;
var<workgroup> right: array<array<vec4<f32>, 16>, DEPTH>;

@compute @workgroup_size(16, 16)
fn matmul(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) place: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let rows = params.numbers[0].x;
    let columns = params.numbers[0].y;
    let between = params.numbers[0].z;
    let top = group.y * TILE;
    let first = group.x * TILE;
    let base = places(group.z);
    var sums: array<vec4<f32>, 4>;
    for (var step = 0u; step < between; step += DEPTH) {
        for (var part = 0u; part < 4u; part++) {
            // Neighbours read neighbours: along k of the left, along columns of the right.
            let own = part * 256u + local;
            let row = top + own / DEPTH;
            let k = step + own % DEPTH;
            var element = 0.0;
            if row < rows && k < between {
                element = float(a[base.x + row * between + k]);
            }
            left[own % DEPTH][own / DEPTH / 4u][own / DEPTH % 4u] = element;
            let column = first + own % TILE;
            let below = step + own / TILE;
            element = 0.0;
            if column < columns && below < between {
                element = float(b[base.y + below * columns + column]);
            }
            right[own / TILE][own % TILE / 4u][own % 4u] = element;
        }
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let down = left[k][place.y];
            let across = right[k][place.x];
            sums[0] += down.x * across;
            sums[1] += down.y * across;
            sums[2] += down.z * across;
            sums[3] += down.w * across;
        }
        workgroupBarrier();
    }
    for (var row = 0u; row < 4u; row++) {
        for (var column = 0u; column < 4u; column++) {
            let y = top + place.y * 4u + row;
            let x = first + place.x * 4u + column;
            if y < rows && x < columns {
                result[(group.z * rows + y) * columns + x] = of_float(sums[row][column]);
            }
        }
    }
}
