// fovea autodiff: the passes as tables and as one document.
#include <string>

#include "cli/program.h"

namespace fovea::test {
namespace {

TEST_F(Cli, AutodiffShowsThePassesOfBothModes) {
    const Result textbook = run("autodiff --format csv");
    ASSERT_EQ(textbook.code, 0) << textbook.err;
    EXPECT_EQ(textbook.out, "output,value,d_x1,d_x2\ny,11.6521,5.5,1.71634\n");
    const Result forward = run("autodiff --mode fwd --trace"), reverse = run("autodiff --mode rev --trace");
    ASSERT_EQ(forward.code, 0) << forward.err;
    EXPECT_NE(forward.out.find("forward pass for x2"), std::string::npos) << forward.out;
    EXPECT_EQ(forward.out.find("reverse pass"), std::string::npos);
    ASSERT_EQ(reverse.code, 0) << reverse.err;
    EXPECT_NE(reverse.out.find("x1_bar += v1_bar / x1"), std::string::npos) << reverse.out;
    const Result several = run("autodiff 'a*b*c; sin(a)/c' --at a=2,b=5,c=0.5 --trace --json");
    ASSERT_EQ(several.code, 0) << several.err;
    const json document = json::parse(several.out);
    EXPECT_EQ(document.at("modes")[0].at("passes").size(), 3u);
    EXPECT_EQ(document.at("modes")[1].at("passes").size(), 2u);
    EXPECT_EQ(document.at("modes")[1].at("jacobian")[0], (json{2.5, 1.0, 10.0}));
    EXPECT_EQ(document.at("outputs")[0].at("value"), 5.0);
    EXPECT_EQ(document.at("modes")[1].at("passes")[0].at("rows")[0].at("name"), "y1");
    const Result part = run("autodiff 'sigmoid(w*x + b)' --at w=2,x=1,b=-1 --wrt w,b --mode rev --format csv");
    EXPECT_TRUE(part.out.starts_with("output,value,d_w,d_b\ny,0.731059,0.196612,0.196612\n")) << part.out << part.err;
}

TEST_F(Cli, AutodiffSaysWhereAnExpressionIsWrong) {
    const Result wrong = run("autodiff 'ln(x1) + )' --at x1=2");
    EXPECT_EQ(wrong.code, 2);
    EXPECT_EQ(wrong.err, "fovea autodiff: column 10 of 'ln(x1) + )': expected a number, a name or '(', got ')'\n");
    EXPECT_EQ(run("autodiff 'a*b' --at a=1").err, "fovea autodiff: no value for 'b': --at a=1,b=1\n");
    EXPECT_EQ(run("autodiff 'a*b' --at a=1,b=two").err, "fovea autodiff: --at takes NAME=NUMBER,..., for instance x1=2,x2=5, got 'b=two'\n");
    EXPECT_EQ(run("autodiff 'a*b' --at a=1,b=2,c=3").err, "fovea autodiff: no variable 'c'; the expression reads a, b\n");
    EXPECT_EQ(run("autodiff --mode sideways").code, 2);
}

}  // namespace
}  // namespace fovea::test
