// How far a classifier's probabilities may be believed: calibration, Brier score.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fovea {

/// Softmax of a picture's scores, in f64; all NaN where a score is NaN or the highest is infinite.
[[nodiscard]] std::vector<double> probabilities_of(std::span<const float> scores);

/// A classifier's answers by the probability it gave them: its calibration, as in Guo et al. 2017, arXiv:1706.04599, sec. 2. Holds sums
/// alone, however many pictures there are. What is added is rounded to 2^-24, which f64 adds exactly a quarter of a billion times: no order
/// of pictures, batches or ranks changes a bit.
struct Reliability {
    struct Bin {
        std::int64_t images = 0, right = 0;
        double sum = 0;  ///< of the probabilities

        [[nodiscard]] double confidence() const;  ///< mean probability; NaN without pictures
        [[nodiscard]] double accuracy() const;    ///< 0..1; NaN without pictures
    };
    std::vector<Bin> bins = std::vector<Bin>(15);  ///< bin m of M: answers with a probability in (m / M, (m + 1) / M]
    double squares = 0;                            ///< over the pictures, of the distances from the label's row of 0 and 1

    /// A picture with its probabilities, which count nowhere if one is not finite, and the class that was the answer.
    void add(std::span<const double> probabilities, std::int64_t label, std::int64_t predicted);

    [[nodiscard]] std::int64_t images() const;
    /// ECE, eq. 3: |accuracy - confidence| of the bins, each counting by its pictures. 0 without pictures, as the others.
    [[nodiscard]] double expected_error() const;
    /// MCE, eq. 5: that of the worst bin.
    [[nodiscard]] double largest_error() const;
    /// Mean of sum_k (p_k - y_k)^2, 0..2 (Brier 1950; of two classes some halve it).
    [[nodiscard]] double brier() const;
};
/// {"ece", "mce", "brier", "bins": [{"images", "confidence", "accuracy"}, ...]}, null where a bin has no pictures: JSON.
[[nodiscard]] std::string to_text(const Reliability& reliability);

}  // namespace fovea
