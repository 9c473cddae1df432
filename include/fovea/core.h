// Shape, DType, Tensor, Rng, Error and thread control: what every other stage stands on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

// ---- errors ---------------------------------------------------------------------------------

/// Base of everything fovea throws. The message names who, what was expected, what came and the way out.
class Error : public std::runtime_error {
    using std::runtime_error::runtime_error;
};
/// Tensors or layers whose sizes do not fit together.
class ShapeError : public Error {
    using Error::Error;
};
/// An option outside its domain, an unknown name, a contradiction between options.
class ArgumentError : public Error {
    using Error::Error;
};
/// A file or stream that is not what it says it is.
class FormatError : public Error {
    using Error::Error;
};
/// An operation the chosen backend cannot run, or a device that failed.
class BackendError : public Error {
    using Error::Error;
};

// ---- shapes ---------------------------------------------------------------------------------

/// A dimension that is known only when the program is compiled for a batch (usually N).
inline constexpr std::int64_t dynamic = -1;

/// Up to eight dimensions, outermost first. A value type: copies are cheap.
class Shape {
public:
    static constexpr int max_rank = 8;

    Shape() = default;
    Shape(std::initializer_list<std::int64_t> dims);
    explicit Shape(std::span<const std::int64_t> dims);

    [[nodiscard]] int rank() const { return rank_; }
    /// Dimension i; negative i counts from the end, as in numpy.
    [[nodiscard]] std::int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i < 0 ? i + rank_ : i)]; }
    [[nodiscard]] std::int64_t& operator[](int i) { return dims_[static_cast<std::size_t>(i < 0 ? i + rank_ : i)]; }
    [[nodiscard]] std::span<const std::int64_t> dims() const { return {dims_.data(), static_cast<std::size_t>(rank_)}; }
    /// Product of all dimensions; 1 for a scalar. `dynamic` when any dimension is.
    [[nodiscard]] std::int64_t elements() const;
    /// Product of dimensions [first, last).
    [[nodiscard]] std::int64_t elements(int first, int last) const;
    [[nodiscard]] bool is_dynamic() const;
    void push_back(std::int64_t dim);
    /// "[8, 64, 56, 56]"; a dynamic dimension prints as "N" first and as "?" elsewhere.
    [[nodiscard]] std::string str() const;

    friend bool operator==(const Shape& a, const Shape& b);

private:
    std::array<std::int64_t, max_rank> dims_{};
    int rank_ = 0;
};

// ---- element types --------------------------------------------------------------------------

enum class DType : std::uint8_t { f32, f64, i32, i64, u8 };

[[nodiscard]] std::size_t size_of(DType dtype);
[[nodiscard]] std::string_view name_of(DType dtype);
template <class T> [[nodiscard]] constexpr DType dtype_of();
template <> constexpr DType dtype_of<float>() { return DType::f32; }
template <> constexpr DType dtype_of<double>() { return DType::f64; }
template <> constexpr DType dtype_of<std::int32_t>() { return DType::i32; }
template <> constexpr DType dtype_of<std::int64_t>() { return DType::i64; }
template <> constexpr DType dtype_of<std::uint8_t>() { return DType::u8; }

// ---- tensors --------------------------------------------------------------------------------

/// Contiguous row-major values on the host, 64-byte aligned (but see over()). A copy shares storage; clone() copies bytes.
class Tensor {
public:
    Tensor() = default;
    /// Zero-filled. Throws ShapeError for a dynamic shape.
    explicit Tensor(const Shape& shape, DType dtype = DType::f32);
    /// Copies `values`; throws ShapeError unless there are exactly shape.elements() of them.
    template <class T> static Tensor of(std::span<const T> values, const Shape& shape);
    template <class T> static Tensor of(std::initializer_list<T> values, const Shape& shape) {
        return of(std::span<const T>(values.begin(), values.size()), shape);
    }
    static Tensor scalar(double value, DType dtype = DType::f32);
    /// Looks at values that another owner keeps, e.g. a mapped file: not copied, aligned to their element only. The owner lives as long
    /// as any tensor that looks at it.
    static Tensor over(std::shared_ptr<std::byte[]> values, const Shape& shape, DType dtype);

    [[nodiscard]] const Shape& shape() const { return shape_; }
    [[nodiscard]] DType dtype() const { return dtype_; }
    [[nodiscard]] std::int64_t elements() const { return storage_ ? shape_.elements() : 0; }
    [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype_); }
    [[nodiscard]] bool is_empty() const { return !storage_; }
    /// Whether another Tensor holds the same storage.
    [[nodiscard]] bool is_shared() const { return storage_.use_count() > 1; }

    /// The values as T; throws ArgumentError when T is not the tensor's dtype.
    template <class T> [[nodiscard]] std::span<T> data();
    template <class T> [[nodiscard]] std::span<const T> data() const;
    [[nodiscard]] std::byte* raw() { return storage_.get(); }
    [[nodiscard]] const std::byte* raw() const { return storage_.get(); }

    [[nodiscard]] Tensor clone() const;
    /// Same storage under another shape with as many elements.
    [[nodiscard]] Tensor reshape(const Shape& shape) const;
    /// Converted copy (itself, sharing storage, when the dtype is already right).
    [[nodiscard]] Tensor to(DType dtype) const;
    /// Element i in row-major order, widened.
    [[nodiscard]] double at(std::int64_t i) const;
    void set(std::int64_t i, double value);

private:
    Shape shape_;
    DType dtype_ = DType::f32;
    std::shared_ptr<std::byte[]> storage_;
};

// ---- counter-based random numbers ------------------------------------------------------------

/// Philox 4x32-10. Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
/// A pure function of its arguments: results depend on no thread, no order and no earlier call.
[[nodiscard]] std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::uint64_t key);

/// Random numbers addressed by (seed, step, stream, element). `stream` names the consumer: a node, a data set, a shuffle.
class Rng {
public:
    Rng(std::uint64_t seed, std::uint64_t stream, std::uint64_t step = 0) : seed_(seed), stream_(stream), step_(step) {}

    [[nodiscard]] std::uint32_t bits(std::uint64_t element) const;
    /// Uniform in [0, 1), 24 bits: exact in f32.
    [[nodiscard]] double uniform(std::uint64_t element) const { return (bits(element) >> 8) * 0x1p-24; }
    /// Uniform integer in [0, bound).
    [[nodiscard]] std::int64_t below(std::uint64_t element, std::int64_t bound) const;
    /// Standard normal (Box-Muller on two words of the same block).
    [[nodiscard]] double normal(std::uint64_t element) const;

    /// Four draws at once: bits(i) is block(i / 4)[i % 4].
    [[nodiscard]] std::array<std::uint32_t, 4> block(std::uint64_t index) const;

    /// Philox's key: seed and stream. With it kernels draw many at a time: element i is word i % 4 of the block at counter (i / 4, step).
    [[nodiscard]] std::uint64_t key() const { return seed_ ^ (stream_ * 0x9E3779B97F4A7C15ull); }
    [[nodiscard]] std::uint64_t step() const { return step_; }

private:
    std::uint64_t seed_, stream_, step_;
};

/// FNV-1a, 64 bit: turns a name into an Rng stream.
[[nodiscard]] std::uint64_t hash_name(std::string_view name);

// ---- files ----------------------------------------------------------------------------------

/// Replaces the file at `path` in one step: a temporary name in the same directory, fsync, rename. A reader, or a machine that
/// loses power, sees the old bytes or the new ones. Throws Error naming the path and the system's reason; the old file stays.
/// Of a symbolic link the file it names is replaced; a device or a pipe is written to.
void write_file_atomically(const std::string& path, std::string_view bytes);

// ---- threads --------------------------------------------------------------------------------

/// Number of threads computations use from now on (>= 1). The result never depends on it, only the time.
void set_threads(int count);
[[nodiscard]] int threads();

}  // namespace fovea
